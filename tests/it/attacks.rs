//! The attack corpus of `tests/attacks`, through a real Envoy: what must not pass is refused and recorded, what must
//! pass does, and the next request on the same worker is served. A plain Envoy is the control.

use std::path::PathBuf;

use airlock_receipt::{Effect, Record};
use airlock_tests::{
    attacks::{Attack, Control, Expect, Known, Variant},
    client::{Answer, Call, Http},
    eventually,
    gateway::{Configuration, Gateway, Shape},
    repository,
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::{Value, json};

fn corpus() -> Vec<Attack> {
    let folder: PathBuf = repository().join("tests/attacks");
    let attacks = Attack::load(&folder);
    assert!(attacks.len() > 100, "the corpus is there");
    attacks
}

/// A gateway and its server while the corpus runs, and what ought to be on record.
struct Trial {
    gateway: Gateway,
    upstream: Upstream,
    issuer: Issuer,
    recorded: Vec<(Effect, String)>,
    stopped: usize,
    failures: Vec<String>,
}

impl Trial {
    async fn start(shape: Shape, to_server: Http) -> Self {
        let (upstream, address) = Upstream::start().await;
        let names = json!({ "hosts": ["127.0.0.1", "localhost"], "origins": ["http://localhost:*"] });
        let configuration = Configuration::default().with("/mcp", names);
        let gateway = Gateway::start_over(to_server, shape, address, configuration).await;
        Self {
            gateway,
            upstream,
            issuer: Issuer::default(),
            recorded: Vec::new(),
            stopped: 0,
            failures: Vec::new(),
        }
    }

    fn token(&self, caller: &str) -> String {
        self.issuer.token(caller, "mcp:read")
    }

    /// What a case's placeholders stand for; opens the session that it needs.
    async fn known(&mut self, attack: &Attack) -> Known {
        let mut known = Known { token: self.token(&attack.caller), session: String::new() };
        if let Some(opener) = &attack.session {
            let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
            }});
            let call = Call::post(initialize.to_string()).token(&self.token(opener));
            let answer = call.send(self.gateway.address).await;
            known.session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
            self.allowed();
        }
        known
    }

    async fn guarded(&mut self, attack: &Attack) {
        let known = self.known(attack).await;
        let mut problems = Vec::new();
        for variant in attack.variants(&known, self.gateway.address) {
            let (answer, reached) = self.send(variant.clone()).await;
            if let Err(problem) = self.judge(&attack.expect, &variant, answer, reached) {
                problems.push(format!("{} ({}): {problem}", attack.name, variant.name));
            }
        }
        // One of them says enough: a case may be a hundred requests.
        self.failures.extend(problems.into_iter().next());
        let next = Call::tool("echo", &json!({})).token(&self.token("alice@example.com"));
        let next = next.send(self.gateway.address).await;
        assert_eq!(next.status, 200, "the request after {}: {}", attack.name, next.text());
        self.allowed();
    }

    async fn send(&self, variant: Variant) -> (Option<Answer>, usize) {
        let before = self.upstream.received().len();
        let answer = variant.send(self.gateway.address).await;
        (answer, self.upstream.received().len() - before)
    }

    fn judge(
        &mut self,
        expect: &Expect,
        variant: &Variant,
        answer: Option<Answer>,
        reached: usize,
    ) -> Result<(), String> {
        let status = answer.as_ref().map(|answer| answer.status);
        let seen = || format!("{status:?} {}", answer.as_ref().map_or_else(String::new, Answer::text));
        match expect {
            Expect::Refused(refused) => {
                self.recorded.push((Effect::Deny, refused.reason.clone()));
                let body: Value = answer
                    .as_ref()
                    .and_then(|answer| serde_json::from_slice(&answer.body).ok())
                    .unwrap_or_default();
                let error = &body["error"];
                let told = (status, &error["code"], &error["data"]["reason"], &body["id"]);
                let (code, reason) = (json!(refused.code), json!(refused.reason));
                if told != (Some(refused.status), &code, &reason, &refused.id) || body["jsonrpc"] != "2.0" {
                    return Err(format!("expected {refused:?}, got {}", seen()));
                }
                (reached == 0).then_some(()).ok_or_else(|| "it was refused and reached the server".to_owned())
            }
            Expect::Passed(passed) => {
                self.allowed();
                if status != Some(passed.status) || reached != 1 {
                    return Err(format!(
                        "expected it to pass once, {reached} reached the server: {}",
                        seen()
                    ));
                }
                let Some(received) = self.upstream.received().pop() else {
                    return Err("nothing came".to_owned());
                };
                let body = variant.body.clone().unwrap_or(received.body.clone());
                if received.body != body || !received.trailers.is_empty() {
                    return Err(format!("the server got something else, trailers: {:?}", received.trailers));
                }
                Ok(())
            }
            Expect::Stopped(stopped) => {
                self.stopped += 1;
                let own = answer.as_ref().is_some_and(|answer| answer.text().contains("\"reason\""));
                if status != stopped.status || reached > 0 || own {
                    return Err(format!("expected {stopped:?}, {reached} reached the server: {}", seen()));
                }
                Ok(())
            }
        }
    }

    fn allowed(&mut self) {
        self.recorded.push((Effect::Allow, "policy_allowed".to_owned()));
    }

    /// Every request has left one record, in its order, with its decision and reason, and all of them verify.
    async fn close(self, reloads: &str) {
        assert!(self.failures.is_empty(), "{}\n{} failures", self.failures.join("\n"), self.failures.len());
        let Self { gateway, recorded, stopped, .. } = self;
        let (decisions, by_proxy) = eventually("a receipt for every request", || async {
            let records = gateway.signer.records().into_iter();
            let decision =
                |record: Record| (record.decision.effect, record.decision.reason.as_str().to_owned());
            // What the proxy ends late enough to have called the filters leaves a receipt that says just that.
            let (by_proxy, decisions): (Vec<_>, Vec<_>) =
                records.map(decision).partition(|(_, reason)| reason == "not_forwarded");
            (decisions.len() >= recorded.len()).then_some((decisions, by_proxy))
        })
        .await;
        for (index, (decision, expected)) in decisions.iter().zip(&recorded).enumerate() {
            assert_eq!(decision, expected, "receipt {index}");
        }
        assert_eq!(decisions.len(), recorded.len());
        assert!(by_proxy.len() <= stopped, "{} of {stopped}", by_proxy.len());
        assert_eq!(gateway.stat(reloads).await, 0, "no VM has failed");
        assert!(gateway.signer.verify().is_valid());
    }
}

async fn every_case_gets_its_verdict(shape: Shape, to_server: Http) {
    let mut trial = Trial::start(shape, to_server).await;
    for attack in corpus() {
        trial.guarded(&attack).await;
    }
    let reloads = if shape == Shape::Whole { "wasm.airlock.vm_reload" } else { "wasm.mcp-parser.vm_reload" };
    trial.close(reloads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_gets_its_verdict_from_the_whole_chain() {
    every_case_gets_its_verdict(Shape::Whole, Http::One).await;
}

/// The server speaks HTTP/2 here: only then could trailers reach it.
#[tokio::test(flavor = "multi_thread")]
async fn every_attack_gets_its_verdict_from_a_chain_of_filters() {
    every_case_gets_its_verdict(Shape::Chain, Http::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_proxy_does_with_every_attack_what_its_file_says() {
    let mut trial = Trial::start(Shape::Plain, Http::One).await;
    for attack in corpus() {
        let known = trial.known(&attack).await;
        let mut variants = attack.variants(&known, trial.gateway.address);
        variants.dedup_by_key(|variant| variant.name.split(',').next().map(str::to_owned));
        for variant in variants {
            let name = format!("{} ({})", attack.name, variant.name);
            let (answer, reached) = trial.send(variant).await;
            let as_written = match attack.control {
                Control::ReachesServer => reached == 1,
                Control::Stopped(_) => reached == 0,
            };
            if !as_written {
                let status = answer.map(|answer| answer.status);
                trial.failures.push(format!("{name}: {status:?}, {reached} reached the server"));
            }
        }
    }
    assert!(trial.failures.is_empty(), "{}", trial.failures.join("\n"));
}
