//! The OpenAPI document of the admin port, as it is kept in `docs/`.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::DOCUMENT;
    use crate::http::{admin, api};
    use serde_json::{Value, json};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// Every operation by its method and path.
    fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                operations.insert((method.clone(), path.clone()), operation.clone());
            }
        }
        operations
    }

    /// What a reference leads to, or the value itself.
    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        let Some(target) = value["$ref"].as_str() else { return value };
        let target = target.strip_prefix('#').unwrap();
        document.pointer(target).unwrap_or_else(|| panic!("{target} leads nowhere"))
    }

    /// Every reference in it.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn it_has_every_route_and_no_other() {
        let name = |method: &str, path: &str| (method.to_owned(), path.to_owned());
        let keyed: BTreeSet<_> = api::table().iter().map(|(m, p, _)| name(m, p)).collect();
        let open: BTreeSet<_> = admin::table().iter().map(|(m, p, _)| name(m, p)).collect();
        let document = document();
        let described = operations(&document);
        let names: BTreeSet<_> = described.keys().cloned().collect();
        assert_eq!(names, keyed.union(&open).cloned().collect());
        assert_eq!(document["security"], json!([{ "key": [] }]));
        for (name, operation) in described {
            let needs_key = operation.get("security").is_none();
            assert_eq!(needs_key, keyed.contains(&name), "{name:?}");
            assert_eq!(needs_key, operation["responses"].get("401").is_some(), "{name:?}");
        }
    }

    #[test]
    fn it_has_every_code_with_the_status_that_it_is_told_with() {
        let document = document();
        let codes = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
        let codes: BTreeSet<_> = codes.iter().map(|code| code.as_str().unwrap()).collect();
        let told = api::CODES.iter().map(|code| code.text()).chain(["not_found"]);
        assert_eq!(codes, told.collect());
        for code in api::CODES {
            let (status, named) =
                (api::status_of(code).as_str().to_owned(), format!("`{}`", code.text()));
            let tells = |operation: &Value| {
                let response = resolved(&document, &operation["responses"][&status]);
                response["description"].as_str().is_some_and(|text| text.contains(&named))
            };
            assert!(operations(&document).values().any(tells), "{named} with {status}");
        }
    }

    #[test]
    fn it_is_whole() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in &found {
            resolved(&document, &json!({ "$ref": reference }));
        }
        for (kind, parts) in document["components"].as_object().unwrap() {
            for name in parts.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
                let reference = format!("#/components/{kind}/{name}");
                assert!(found.contains(reference.as_str()), "{reference} is of no use");
            }
        }
        let mut ids = BTreeSet::new();
        for ((_, path), operation) in operations(&document) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
            assert!(operation["responses"].get("200").is_some(), "{path}");
            let given = operation["parameters"].as_array().into_iter().flatten();
            let in_path = given.map(|parameter| resolved(&document, parameter));
            let in_path = in_path.filter(|parameter| parameter["in"] == "path");
            let named: Vec<_> = in_path.map(|p| p["name"].as_str().unwrap().to_owned()).collect();
            let wanted = path.contains("{room}").then(|| "room".to_owned());
            assert_eq!(named, wanted.into_iter().collect::<Vec<_>>(), "{path}");
        }
    }
}
