//! A certificate authority, and what it issues to the gateway and to clients.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

/// Who signs certificates, with a server certificate for 127.0.0.1 in files that Envoy reads.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    directory: TempDir,
}

/// What a client's certificate says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `CN` of the subject.
    pub common_name: Option<&'a str>,
    /// `OU` of the subject.
    pub organizational_unit: Option<&'a str>,
    /// DNS names among the alternative names, in order.
    pub dns_names: &'a [&'a str],
    /// URIs among the alternative names, in order.
    pub uris: &'a [&'a str],
}

/// A client's certificate with its private key.
#[derive(Debug)]
pub struct ClientCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Default for Authority {
    fn default() -> Self {
        let directory = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::default();
        own.distinguished_name.push(DnType::CommonName, "Clients of Example");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = own.self_signed(&key).unwrap();
        let issuer = Issuer::new(own, key);

        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap();
        for (name, text) in
            [(CA, certificate.pem()), (SERVER, server.pem()), (SERVER_KEY, server_key.serialize_pem())]
        {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self { issuer, certificate: certificate.der().clone(), directory }
    }
}

const CA: &str = "clients.pem";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// Where the TLS of the first listener of a bootstrap is configured.
const TLS: &str = "/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config";

impl Authority {
    /// A certificate for a client.
    pub fn issue(&self, names: Names<'_>) -> ClientCertificate {
        let mut client = CertificateParams::default();
        client.distinguished_name = rcgen::DistinguishedName::new();
        let subject = [
            (DnType::OrganizationalUnitName, names.organizational_unit),
            (DnType::CommonName, names.common_name),
        ];
        for (kind, name) in subject {
            if let Some(name) = name {
                client.distinguished_name.push(kind, name);
            }
        }
        let dns_names = names.dns_names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        let uris = names.uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        client.subject_alt_names = dns_names.chain(uris).collect();
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = client.signed_by(&key, &self.issuer).unwrap().der().clone();
        ClientCertificate { certificate, key: key.serialize_der().try_into().unwrap() }
    }

    /// How a client connects that trusts this authority, with a certificate or without.
    pub fn client(&self, certificate: Option<&ClientCertificate>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(match certificate {
            Some(ClientCertificate { certificate, key }) => {
                client.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
            }
            None => client.with_no_client_auth(),
        })
    }

    /// Whether a bootstrap's listener has TLS.
    pub fn has_a_place_in(bootstrap: &Value) -> bool {
        bootstrap.pointer(TLS).is_some()
    }

    /// Names this authority's files in a bootstrap like `envoy/mtls.yaml`.
    pub fn fill_in(&self, bootstrap: &mut Value) {
        let common = bootstrap.pointer_mut(TLS).and_then(|tls| tls.get_mut("common_tls_context")).unwrap();
        for (place, file) in [
            ("/tls_certificates/0/certificate_chain", SERVER),
            ("/tls_certificates/0/private_key", SERVER_KEY),
            ("/validation_context/trusted_ca", CA),
        ] {
            *common.pointer_mut(place).unwrap() = json!({ "filename": self.file(file) });
        }
    }

    /// Lets clients in that have no certificate.
    pub fn make_optional(bootstrap: &mut Value) {
        bootstrap.pointer_mut(TLS).unwrap()["require_client_certificate"] = json!(false);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl ClientCertificate {
    /// What a token that is bound to it says in `cnf["x5t#S256"]` (RFC 8705 section 3.1).
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.certificate))
    }
}

/// Opens a connection. Whether the server takes the client's certificate is told afterwards, by its first answer.
pub async fn connect(to: SocketAddr, client: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let connection = TcpStream::connect(to).await.unwrap();
    let server = ServerName::from(to.ip());
    TlsConnector::from(client).connect(server, connection).await.expect("the server's certificate is good")
}

/// Why the server ends the connection before it has been asked anything.
pub async fn refusal(to: SocketAddr, client: Arc<ClientConfig>) -> String {
    let mut connection = connect(to, client).await;
    let read = tokio::time::timeout(std::time::Duration::from_secs(10), connection.read_u8());
    read.await.expect("an end of the connection").unwrap_err().to_string()
}
