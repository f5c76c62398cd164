//! Keys that are fetched from a provider: before the first request, while they change, and while it cannot be reached.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use airlock_tests::{
    client::{Answer, Call},
    eventually,
    gateway::Shape,
    provider::Grant,
    site::{Plan, Site},
    upstream::Upstream,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

async fn plan() -> Plan {
    // A second is as fast as anything happens here.
    Plan::new()
        .await
        .with("/identity/issuers/0/unknown_key_seconds", json!(1))
        .with("/identity/issuers/0/timeout_ms", json!(5_000))
}

async fn token(site: &Site) -> Grant {
    site.client.credentials(&site.resource, "mcp:read", None).await
}

/// With a signature of the right form that no key has made.
fn forged(grant: &Grant) -> Grant {
    let (signed, signature) = grant.token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    grant.but(format!("{signed}.{first}{}", signature.get(1..).unwrap()))
}

/// What becomes of a call with this token.
async fn called(at: SocketAddr, grant: &Grant) -> String {
    verdict(&grant.on(Call::tool("echo", &json!({})), None).send(at).await)
}

/// What a call came to: its status, and the reason if it was refused.
fn verdict(answer: &Answer) -> String {
    if answer.status == 200 { "200".to_owned() } else { format!("{} {}", answer.status, answer.reason()) }
}

async fn the_first_requests_wait_for_the_keys(shape: Shape) {
    let (_upstream, address) = Upstream::start().await;
    let plan = plan().await;
    let grant = plan.client.credentials(&plan.resource, "mcp:read", None).await;
    let site = plan.open(shape, address).await;
    let at = site.gateway.address;
    let calls: Vec<_> = std::iter::repeat_with(|| {
        let grant = grant.clone();
        tokio::spawn(async move { called(at, &grant).await })
    })
    .take(20)
    .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "200");
    }
    assert_eq!(site.provider.requested("/jwks").await, 1, "one fetch is enough for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_requests_wait_for_the_keys_in_the_whole_chain() {
    the_first_requests_wait_for_the_keys(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_requests_wait_for_the_keys_in_a_chain_of_filters() {
    the_first_requests_wait_for_the_keys(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_requests_wait_for_the_keys_where_headers_are_not_held() {
    the_first_requests_wait_for_the_keys(Shape::WholeUnheld).await;
}

/// Calls without end, each with the newest token and, beside it, a forgery of it.
struct Traffic {
    newest: Arc<Mutex<Grant>>,
    goes_on: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<BTreeMap<(bool, String), u32>>>,
}

impl Traffic {
    fn start(at: SocketAddr, first: Grant) -> Self {
        let (newest, goes_on) = (Arc::new(Mutex::new(first)), Arc::new(AtomicBool::new(true)));
        let caller = std::iter::repeat_with(|| {
            let (newest, goes_on) = (Arc::clone(&newest), Arc::clone(&goes_on));
            tokio::spawn(async move {
                let mut verdicts = BTreeMap::new();
                while goes_on.load(Ordering::Relaxed) {
                    let grant = newest.lock().unwrap().clone();
                    for (is_good, grant) in [(true, grant.clone()), (false, forged(&grant))] {
                        let verdict = called(at, &grant).await;
                        *verdicts.entry((is_good, verdict)).or_default() += 1;
                    }
                }
                verdicts
            })
        });
        let callers = caller.take(4).collect();
        Self { newest, goes_on, callers }
    }

    fn use_from_now_on(&self, grant: &Grant) {
        *self.newest.lock().unwrap() = grant.clone();
    }

    /// How often each verdict was reached on good tokens (`true`) and on forgeries.
    async fn stop(self) -> BTreeMap<(bool, String), u32> {
        self.goes_on.store(false, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for caller in self.callers {
            for (verdict, count) in caller.await.unwrap() {
                *all.entry(verdict).or_default() += count;
            }
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_while_traffic_runs_and_nobody_is_wrongly_refused_or_accepted() {
    let (upstream, address) = Upstream::start().await;
    let site =
        plan().await.with("/identity/issuers/0/refresh_seconds", json!(2)).open(Shape::Whole, address).await;
    let first = token(&site).await;
    let traffic = Traffic::start(site.gateway.address, first.clone());
    let pause = || tokio::time::sleep(Duration::from_millis(700));
    pause().await;
    let mut latest = first.clone();
    for _ in 0..3 {
        site.provider.rotate().await;
        // Tokens under the keys before are as good as those under the new ones.
        pause().await;
        latest = token(&site).await;
        traffic.use_from_now_on(&latest);
        pause().await;
        assert_eq!(called(site.gateway.address, &first).await, "200");
    }
    site.provider.withdraw().await;
    eventually("keys that were withdrawn to be of no use", || async {
        (called(site.gateway.address, &first).await == "401 token_key_unknown").then_some(())
    })
    .await;
    assert_eq!(called(site.gateway.address, &latest).await, "200");

    let verdicts = traffic.stop().await;
    let expected = [(true, "200".to_owned()), (false, "401 token_signature".to_owned())];
    assert!(verdicts.keys().all(|verdict| expected.contains(verdict)), "{verdicts:?}");
    let good = verdicts[&expected[0]];
    assert!(good > 100, "{verdicts:?}");
    assert!(upstream.received().len() >= usize::try_from(good).unwrap());
}

/// Tokens whose keys are known go on, others are told to come back; the provider's return mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_stops_nobody_whose_keys_are_known() {
    let (upstream, address) = Upstream::start().await;
    let mut site = plan().await.open(Shape::Whole, address).await;
    let (known, unused) = (token(&site).await, token(&site).await);
    assert_eq!(called(site.gateway.address, &known).await, "200");
    site.provider.rotate().await;
    let newer = token(&site).await;
    site.provider.stop();

    assert_eq!(called(site.gateway.address, &known).await, "200");
    assert_eq!(called(site.gateway.address, &unused).await, "200", "its key is known, though it is not");
    let answer = site.call(&newer, None).await;
    assert_eq!(verdict(&answer), "503 keys_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.headers.contains_key("www-authenticate"), "the token may be good");
    assert_eq!(called(site.gateway.address, &forged(&known)).await, "401 token_signature");
    assert_eq!(upstream.received().len(), 3);

    site.provider.start_again().await;
    eventually("the newer keys", || async {
        (called(site.gateway.address, &newer).await == "200").then_some(())
    })
    .await;
    assert_eq!(called(site.gateway.address, &unused).await, "200");
}

/// Nobody can be let in, and nothing hangs; once the provider is there, it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_before_its_provider_waits_for_it() {
    let (upstream, address) = Upstream::start().await;
    let mut plan = plan().await.with("/identity/issuers/0/timeout_ms", json!(1_000));
    let grant = plan.client.credentials(&plan.resource, "mcp:read", None).await;
    plan.provider.stop();
    let mut site = plan.open(Shape::Whole, address).await;
    assert_eq!(called(site.gateway.address, &grant).await, "503 keys_unavailable");
    assert!(upstream.received().is_empty());
    site.provider.start_again().await;
    eventually("the keys", || async { (called(site.gateway.address, &grant).await == "200").then_some(()) })
        .await;
}

/// An attacker who invents key ids makes the gateway ask its provider no more often than it is configured to, and keeps
/// nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn invented_key_ids_do_not_make_the_gateway_ask_without_end() {
    let (upstream, address) = Upstream::start().await;
    let site = plan()
        .await
        .with("/identity/issuers/0/unknown_key_seconds", json!(3))
        .open(Shape::Whole, address)
        .await;
    let (at, good) = (site.gateway.address, token(&site).await);
    assert_eq!(called(at, &good).await, "200");
    let asked = site.provider.requested("/jwks").await;
    let start = Instant::now();
    let (_, rest) = good.token.split_once('.').unwrap();
    let calls: Vec<_> = (0..40)
        .map(|index| {
            let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("invented-{index}") });
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            let invented = good.but(format!("{header}.{rest}"));
            tokio::spawn(async move { called(at, &invented).await })
        })
        .collect();
    assert_eq!(called(at, &good).await, "200");
    // Whoever comes while nothing may be fetched is told to come back.
    let refusals = ["401 token_key_unknown", "503 keys_unavailable"];
    for call in calls {
        let refusal = call.await.unwrap();
        assert!(refusals.contains(&refusal.as_str()), "{refusal}");
    }
    let most = asked + 1 + start.elapsed().as_secs() / 3;
    let now = site.provider.requested("/jwks").await;
    assert!(now > asked && now <= most, "{now} instead of at most {most}");
    assert_eq!(called(at, &good).await, "200");
    assert_eq!(upstream.received().len(), 3);
}
