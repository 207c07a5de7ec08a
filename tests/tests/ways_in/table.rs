//! The list of ways against the route table.

use std::collections::BTreeSet;

use identsphere_e2e::{App, Engine, Framework, run};
use identsphere_http::{CsrfRule, ENDPOINTS};
use serde_json::Value;

use crate::paths::Path;

/// Registration makes the account that it opens: nothing can close it.
const NOT_IN_THE_MATRIX: &str = "register";

/// Whether what a schema describes can hold an access token.
fn carries_token(document: &Value, schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, member)| match (name.as_str(), member) {
            ("access_token", _) => true,
            ("$ref", Value::String(pointer)) => {
                carries_token(document, document.pointer(pointer.trim_start_matches('#')).unwrap())
            }
            _ => carries_token(document, member),
        }),
        Value::Array(parts) => parts.iter().any(|part| carries_token(document, part)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The operations whose success can carry a token, as the API document says, which is made from the table.
async fn issuing_operations(app: &App) -> BTreeSet<String> {
    let document = app.caller().get("/openapi.json").send().await.json();
    let mut issuing = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for operation in paths.values().flat_map(|methods| methods.as_object().unwrap().values()) {
        let Some(id) = operation["operationId"].as_str() else { continue };
        let good =
            operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
        if good.into_iter().any(|(_, response)| carries_token(&document, response)) {
            issuing.insert(id.to_owned());
        }
    }
    issuing
}

#[test]
fn every_route_that_can_sign_somebody_in_is_in_the_matrix() {
    run(Framework::Axum, Engine::Memory, |app| async move {
        let tried: BTreeSet<String> = Path::ALL
            .into_iter()
            .filter(|path| path.opens())
            .map(|path| path.operation().to_owned())
            .chain([NOT_IN_THE_MATRIX.to_owned()])
            .collect();
        assert_eq!(issuing_operations(&app).await, tried);
    });
}

/// A route that signs somebody in is called without a session, and nobody may call it in somebody else's name.
#[test]
fn every_route_that_can_sign_somebody_in_refuses_foreign_pages() {
    run(Framework::Axum, Engine::Memory, |app| async move {
        let issuing = issuing_operations(&app).await;
        let routes = ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes);
        let found: Vec<_> = routes.filter(|route| issuing.contains(route.operation)).collect();
        assert_eq!(found.len(), issuing.len());
        for route in found {
            assert_eq!(route.csrf, CsrfRule::OriginOnly, "{}", route.operation);
        }
    });
}

#[test]
fn every_way_ends_at_a_route_of_the_table() {
    let operations: BTreeSet<&str> =
        ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes).map(|route| route.operation).collect();
    for path in Path::ALL {
        assert!(operations.contains(path.operation()), "{path:?}");
    }
}
