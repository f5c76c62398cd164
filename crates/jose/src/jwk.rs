use serde_json::{Map, Value};

use crate::key_material::{COORDINATE_BYTES, KeyMaterial};
use crate::{base64url, limits};

/// Members that only private and symmetric keys have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Why a JSON Web Key is refused. It never holds a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is no JSON object.
    #[error("the key is not an object")]
    NotAnObject,
    /// A member is missing, of the wrong type, too long, or not in its only valid encoding.
    #[error("the member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The key is private or symmetric. Whoever published it must take it for lost.
    #[error("the key has the private member `{0}`")]
    Private(&'static str),
    /// `kty`, `crv` and `alg`, or `use` and `key_ops`, contradict each other.
    #[error("the member `{0}` contradicts the others")]
    Contradiction(&'static str),
    /// The coordinates are not of a point on the curve, or of one of small order.
    #[error("the key is not a valid point of its curve")]
    Point,
    /// The RSA modulus is even, or not of 2048 to 4096 bits.
    #[error("the rsa modulus is not of 2048 to 4096 bits, or even")]
    Modulus,
    /// The RSA exponent is even, under 3 or over 2^33.
    #[error("the rsa exponent is even, or not from 3 to 2^33")]
    Exponent,
    /// The key is well-formed, but not one that verifies a supported algorithm.
    #[error("the key verifies no supported algorithm")]
    Unusable,
}

/// A JSON Web Key (RFC 7517 section 4).
pub(crate) struct Jwk {
    pub(crate) key_id: Option<String>,
    /// For which issuer alone the key signs: a member of Entra's, in which `{tenantid}` stands for any tenant.
    pub(crate) issuer: Option<String>,
    /// None for a key that is well-formed but of another type, or meant for something else.
    pub(crate) material: Option<KeyMaterial>,
}

/// What the members besides the material allow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Verify,
    Other,
}

impl Jwk {
    pub(crate) fn read(jwk: &Value) -> Result<Self, KeyError> {
        let members = jwk.as_object().ok_or(KeyError::NotAnObject)?;
        if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
            return Err(KeyError::Private(name));
        }
        let key_id = key_id(members)?;
        let issuer = string(members, "issuer")?.map(str::to_owned);
        let usage = usage(members)?;
        let material = match string(members, "kty")?.ok_or(KeyError::Member("kty"))? {
            "EC" => elliptic(members, usage),
            "RSA" => rsa(members, usage),
            "OKP" => octet_pair(members, usage),
            // A symmetric key without its value.
            "oct" => Err(KeyError::Member("k")),
            _ => Ok(None),
        }?;
        Ok(Self { key_id, issuer, material })
    }
}

/// Whether this may be a key id: not empty, bounded, and without control characters.
pub(crate) fn is_key_id(key_id: &str) -> bool {
    !key_id.is_empty() && key_id.len() <= limits::KEY_ID_BYTES && !key_id.contains(char::is_control)
}

fn key_id(members: &Map<String, Value>) -> Result<Option<String>, KeyError> {
    match string(members, "kid")? {
        Some(key_id) if !is_key_id(key_id) => Err(KeyError::Member("kid")),
        key_id => Ok(key_id.map(str::to_owned)),
    }
}

/// What `use` and `key_ops` say together (RFC 7517 sections 4.2 and 4.3).
fn usage(members: &Map<String, Value>) -> Result<Purpose, KeyError> {
    let by_use = string(members, "use")?.map(|usage| purpose(usage == "sig"));
    let by_operations = operations(members)?.map(|operations| purpose(operations.contains(&"verify")));
    match (by_use, by_operations) {
        (Some(one), Some(other)) if one != other => Err(KeyError::Contradiction("key_ops")),
        (one, other) => Ok(one.or(other).unwrap_or(Purpose::Verify)),
    }
}

fn purpose(verifies: bool) -> Purpose {
    if verifies { Purpose::Verify } else { Purpose::Other }
}

fn operations(members: &Map<String, Value>) -> Result<Option<Vec<&str>>, KeyError> {
    // RFC 7517 registers eight operations, and no operation may be there twice.
    const MOST: usize = 16;
    const MALFORMED: KeyError = KeyError::Member("key_ops");
    let Some(value) = members.get("key_ops") else { return Ok(None) };
    let mut operations: Vec<&str> = value
        .as_array()
        .filter(|operations| operations.len() <= MOST)
        .and_then(|operations| operations.iter().map(Value::as_str).collect())
        .ok_or(MALFORMED)?;
    let listed = operations.len();
    operations.sort_unstable();
    operations.dedup();
    if operations.len() == listed { Ok(Some(operations)) } else { Err(MALFORMED) }
}

fn elliptic(members: &Map<String, Value>, usage: Purpose) -> Result<Option<KeyMaterial>, KeyError> {
    let curve = string(members, "crv")?.ok_or(KeyError::Member("crv"))?;
    let named = match curve {
        "P-256" => by_algorithm(members, &["ES256"], &["ECDH-ES"])?,
        "Ed25519" | "Ed448" | "X25519" | "X448" => return Err(KeyError::Contradiction("crv")),
        _ => Purpose::Other,
    };
    if (usage, named) != (Purpose::Verify, Purpose::Verify) {
        return Ok(None);
    }
    Ok(Some(KeyMaterial::P256 { x: coordinate(members, "x")?, y: coordinate(members, "y")? }))
}

fn rsa(members: &Map<String, Value>, usage: Purpose) -> Result<Option<KeyMaterial>, KeyError> {
    // Providers such as Entra publish RSA keys without `alg`; RS256 is then the only thing they are used for.
    let named = by_algorithm(members, &["RS256"], &["RS384", "RS512", "PS", "RSA"])?;
    if (usage, named) != (Purpose::Verify, Purpose::Verify) {
        return Ok(None);
    }
    Ok(Some(KeyMaterial::Rsa { modulus: number(members, "n")?, exponent: number(members, "e")? }))
}

fn octet_pair(members: &Map<String, Value>, usage: Purpose) -> Result<Option<KeyMaterial>, KeyError> {
    let curve = string(members, "crv")?.ok_or(KeyError::Member("crv"))?;
    let named = match curve {
        "Ed25519" => by_algorithm(members, &["EdDSA", "Ed25519"], &[])?,
        "P-256" | "P-384" | "P-521" | "secp256k1" => return Err(KeyError::Contradiction("crv")),
        _ => Purpose::Other,
    };
    if (usage, named) != (Purpose::Verify, Purpose::Verify) {
        return Ok(None);
    }
    Ok(Some(KeyMaterial::Ed25519(coordinate(members, "x")?)))
}

/// What `alg` says of a key whose type has these algorithms; without it the type decides.
fn by_algorithm(
    members: &Map<String, Value>,
    verified: &[&str],
    other_prefixes: &[&str],
) -> Result<Purpose, KeyError> {
    match string(members, "alg")? {
        None => Ok(Purpose::Verify),
        Some(name) if verified.contains(&name) => Ok(Purpose::Verify),
        Some(name) if other_prefixes.iter().any(|prefix| name.starts_with(prefix)) => Ok(Purpose::Other),
        Some(_) => Err(KeyError::Contradiction("alg")),
    }
}

fn string<'key>(
    members: &'key Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'key str>, KeyError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(KeyError::Member(name)),
    }
}

/// A coordinate has all its bytes, leading zeros included (RFC 7518 section 6.2.1.2).
fn coordinate(members: &Map<String, Value>, name: &'static str) -> Result<[u8; COORDINATE_BYTES], KeyError> {
    string(members, name)?
        .and_then(base64url::decode)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(KeyError::Member(name))
}

/// A number has as many bytes as it needs and no leading zero (RFC 7518 section 2, `Base64urlUInt`).
fn number(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    string(members, name)?
        .and_then(base64url::decode)
        .filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
        .ok_or(KeyError::Member(name))
}
