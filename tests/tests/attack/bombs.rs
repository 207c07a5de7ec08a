//! Heads and bodies that are too much (DS-11, D-21). What they do to the memory of the real process is measured by
//! `scripts/proof-attack`.

use identsphere_e2e::{raw_exchange, unique};

use crate::both;
use crate::world::{World, sign_up};

both! { large_heads_are_refused, body_bombs_are_refused, packed_bodies_are_not_unpacked, numbers_of_every_size_are_refused }

async fn large_heads_are_refused(world: World) {
    let status = async |target: &str, fields: &str| -> u16 {
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
        let answer = raw_exchange(world.address, &request).await;
        answer
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {answer}"))
    };
    let fields = |count: usize, length: usize| {
        (0..count).map(|n| format!("x-{n}: {}\r\n", "v".repeat(length))).collect::<String>()
    };
    assert_eq!(status("/healthz", &fields(60, 10)).await, 200);
    assert_eq!(status("/healthz", &fields(1, 15_000)).await, 200);
    let too_much = [
        fields(63, 1),
        fields(95, 1),
        fields(200, 1),
        fields(2_000, 1),
        fields(1, 17_000),
        fields(60, 300),
        fields(1, 600_000),
        fields(40, 40_000),
    ];
    for fields in too_much {
        let status = status("/healthz", &fields).await;
        assert!([400, 431].contains(&status), "{status} for {} bytes", fields.len());
    }
    assert_eq!(status(&format!("/healthz?{}", "a".repeat(4_000)), "").await, 200);
    for length in [4_100, 20_000, 70_000] {
        let status = status(&format!("/healthz?{}", "a".repeat(length)), "").await;
        assert!([400, 414, 431].contains(&status), "{status} for a target of {length} bytes");
    }
}

async fn body_bombs_are_refused(world: World) {
    let keys = |count: usize| {
        format!("{{{}}}", (0..count).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","))
    };
    let bombs = [
        (413, keys(1_000_000)),
        (413, format!("{{\"email\":\"{}\"}}", "a".repeat(1_000_000))),
        (413, " ".repeat(70_000)),
        (400, keys(4_000)),
        (400, format!("{{\"email\":{}", "[".repeat(60_000))),
        (400, "{\"a\":".repeat(12_000)),
        (400, format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32))),
        (400, format!("{{\"email\":\"{}\"}}", "\\u0041".repeat(10_000))),
        (400, format!("{{\"email\":\"{}\"}}", "\u{1f980}".repeat(15_000))),
        (400, format!("{{\"a\":{}}}", "9".repeat(60_000))),
        (400, "{".repeat(60_000)),
        (400, "\"".repeat(60_001)),
        (400, "\\".repeat(60_000)),
    ];
    for path in ["/v1/auth/login", "/v1/auth/register"] {
        for (status, body) in &bombs {
            let answer = world.caller().post(path).body("application/json", body.clone()).send().await;
            assert_eq!(answer.status, *status, "{path}: {}", &body[..body.len().min(40)]);
            answer.code();
        }
    }
}

async fn packed_bodies_are_not_unpacked(world: World) {
    // 1 GiB of zeros begins like this; nobody looks.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1, 1, 1];
    for encoding in
        ["gzip", "GZIP", "deflate", "br", "zstd", "compress", "gzip, identity", "x-gzip", "aws-chunked", ""]
    {
        let request = world.caller();
        let request = request.post("/v1/auth/login").header("content-encoding", encoding);
        let answer = request.body("application/json", packed.to_vec()).send().await;
        answer.assert_error(415, "unsupported_media_type");
    }
}

async fn numbers_of_every_size_are_refused(world: World) {
    for number in [
        "1",
        "12345678",
        "1e400",
        "-1e400",
        "1e-400",
        &"1".repeat(500),
        "0.1e+99999999999",
        "-0",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "0x10",
        "01",
    ] {
        for field in ["email", "organization_name"] {
            let mut body = sign_up(&unique("number@example.com"));
            body[field] = serde_json::Value::String("HERE".into());
            let body = body.to_string().replace("\"HERE\"", number);
            let answer = world.caller().post("/v1/auth/register").body("application/json", body).send().await;
            answer.assert_error(400, "invalid_input");
        }
    }
}
