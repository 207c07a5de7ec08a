//! The functions that every request or every token costs, each alone. `just bench-functions`.

#![expect(clippy::unwrap_used, reason = "a measurement of what failed is worth nothing")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use identsphere_bench_functions::Service;
use identsphere_core::{BucketKey, Quota, RateLimitStore, Take};
use identsphere_kernel::{Clock, Duration, SystemClock};
use identsphere_sessions::{ClientInfo, Leaf, RefreshState, judge};
use identsphere_tokens::{AccessClaims, KeyStore, SigningKey, Unverified, header_segment, sign};
use tokio::runtime::Runtime;

const GRACE: Duration = Duration::from_secs(10);
const SESSION: &str = "/v1/auth/session";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(Service::start()).unwrap();
    let mut criterion = Criterion::default().sample_size(50).configure_from_args();
    access_tokens(&mut criterion, &runtime, &service);
    refresh_tokens(&mut criterion, &service);
    rate_limits(&mut criterion, &runtime, &service);
    requests(&mut criterion, &runtime, &service);
    criterion.final_summary();
}

fn access_tokens(criterion: &mut Criterion, runtime: &Runtime, service: &Service) {
    let keys = runtime.block_on(service.store.list_signing_keys()).unwrap();
    let key: &SigningKey = keys.last().unwrap();
    let (signer, verifier) =
        (service.vault.signer(key).unwrap(), service.vault.verifier(&key.public).unwrap());
    let (core, header) = (service.app.core(), header_segment(&key.kid));
    let token = &service.tokens.0;
    let claims: AccessClaims = (*core.verify_access_token(token).unwrap()).clone();

    criterion.bench_function("access token: sign", |bench| {
        bench.iter(|| sign(&header, black_box(&claims), &*signer).unwrap());
    });
    criterion.bench_function("access token: the signature alone, verified", |bench| {
        let split = Unverified::split(token).unwrap();
        let signature = split.signature().unwrap();
        bench.iter(|| assert!(verifier.verify(black_box(split.message.as_bytes()), &signature)));
    });
    // Every token differs, also from those of an earlier round, so that none is remembered.
    let mut number = claims.iat;
    criterion.bench_function("access token: verify, first sight", |bench| {
        let another = || {
            number -= 1;
            sign(&header, &AccessClaims { auth_time: number, ..claims.clone() }, &*signer).unwrap()
        };
        bench.iter_batched(another, |token| core.verify_access_token(&token).unwrap(), BatchSize::SmallInput);
    });
    criterion.bench_function("access token: verify, remembered", |bench| {
        bench.iter(|| core.verify_access_token(black_box(token)).unwrap());
    });
}

fn refresh_tokens(criterion: &mut Criterion, service: &Service) {
    let (key, text, now) = (&service.secrets.refresh, &service.tokens.1, SystemClock.now());
    let leaf = key.read(text).unwrap();
    let state = RefreshState {
        leaf: Leaf { hash: leaf.hash(), generation: leaf.generation(), issued_at: now },
        expires_at: now.plus(GRACE),
        revoked_at: None,
    };
    criterion
        .bench_function("refresh token: read", |bench| bench.iter(|| key.read(black_box(text)).unwrap()));
    criterion.bench_function("refresh token: read, make the successor, judge", |bench| {
        bench.iter(|| {
            let token = key.read(black_box(text)).unwrap();
            let successor = key.successor(&token);
            judge(&state, token.generation(), &token.hash(), &successor.hash(), now, GRACE)
        });
    });
}

fn rate_limits(criterion: &mut Criterion, runtime: &Runtime, service: &Service) {
    let quota = Quota { burst: 1_000_000_000, per: Duration::from_secs(1) };
    let client = ClientInfo { ip_address: Some([192, 0, 2, 1].into()), user_agent: None };
    criterion.bench_function("rate limit: take one, memory store", |bench| {
        bench.iter(|| {
            let take = Take { bucket: BucketKey::of_address("bench", client.ip_address), quota };
            runtime.block_on(service.store.take(&[take], SystemClock.now())).unwrap()
        });
    });
}

fn requests(criterion: &mut Criterion, runtime: &Runtime, service: &Service) {
    let bearer = format!("Bearer {}", service.tokens.0);
    let cookies = format!(
        "theme=dark; identsphere_at={}; identsphere_csrf=a.b; _ga=GA1.1.1234567890.1234567890; consent=all",
        service.tokens.0
    );
    let agent = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
    let mut get = |name: &str, path: &str, fields: &[(&str, &str)]| {
        assert_eq!(runtime.block_on(service.get(path, fields)).status, 200, "{name}");
        criterion.bench_function(name, |bench| bench.iter(|| runtime.block_on(service.get(path, fields))));
    };
    get("request: session check, Bearer", SESSION, &[agent, ("authorization", &bearer)]);
    get("request: session check, cookie among others", SESSION, &[agent, ("cookie", &cookies)]);
    get("request: sessions list", "/v1/auth/sessions", &[agent, ("authorization", &bearer)]);
    get("request: JWKS", "/.well-known/jwks.json", &[agent]);

    let invented = serde_json::json!({ "refresh_token": format!("isr_{}", "A".repeat(91)) }).to_string();
    assert_eq!(runtime.block_on(service.post("/v1/auth/refresh", &invented)).status, 401);
    criterion.bench_function("request: JSON body with an invented refresh token, refused", |bench| {
        bench.iter(|| runtime.block_on(service.post("/v1/auth/refresh", &invented)));
    });
    assert_eq!(runtime.block_on(service.sign_in()).status, 200);
    criterion.bench_function("request: login, hash at its cheapest", |bench| {
        bench.iter(|| runtime.block_on(service.sign_in()));
    });
}
