//! Whether answers of the admin port are what its OpenAPI document says: every answer that any
//! test gets through the client of the server API is held against it.

use std::sync::LazyLock;

use serde_json::Value;

use super::http::Answer;

/// The document in the repository.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap());

/// Fails unless the document says that this request may be answered like that.
pub(crate) fn assert_described(method: &str, path: &str, answer: &Answer) {
    let status = answer.status.to_string();
    let told = || format!("{method} {path} {status}: {}", answer.text());
    let Some(item) = item_of(path) else { return assert_eq!(status, "404", "{}", told()) };
    let Some(operation) = item.get(method.to_lowercase()) else {
        return assert_eq!(status, "405", "{}", told());
    };
    let response = resolved(&operation["responses"][&status]);
    assert!(!response.is_null(), "it is not in the document: {}", told());
    let schema = &response["content"]["application/json"]["schema"];
    if !schema.is_null() {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{}", told());
        let fault = conforms(schema, &answer.json(), "$").err();
        assert_eq!(fault, None, "{}", told());
    }
}

/// What the document has at an address.
fn item_of(path: &str) -> Option<&'static Value> {
    let path = path.split('?').next()?;
    let is_at = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        let alike = wanted.clone().zip(given.clone()).all(|(w, g)| w == g || w == "{room}");
        alike && wanted.count() == given.count() && !path.ends_with('/')
    };
    let items = DOCUMENT["paths"].as_object().unwrap();
    items.iter().find(|(template, _)| is_at(template)).map(|(_, item)| item)
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(target) => DOCUMENT.pointer(target.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// What is wrong with a value: as much of JSON Schema as the document uses.
fn conforms(schema: &'static Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolved(schema);
    let fault = |why: &str| Err(format!("{at}: {why}: {value}"));
    if let Some(any) = schema["anyOf"].as_array() {
        let faults: Vec<_> = any.iter().map(|one| conforms(one, value, at)).collect();
        return if faults.iter().any(Result::is_ok) {
            Ok(())
        } else {
            fault(&format!("{faults:?}"))
        };
    }
    let is_of_type = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some(other) => panic!("the type {other} is not known here"),
    };
    if !is_of_type {
        return fault("of another type");
    }
    if schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
        return fault("none of the choices");
    }
    let number = value.as_i64().unwrap_or(i64::MAX);
    if schema["minimum"].as_i64().is_some_and(|minimum| number < minimum) {
        return fault("too small");
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(&schema["items"], item, &format!("{at}[]"))?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(required.as_str().unwrap()) {
            return fault(&format!("without {required}"));
        }
    }
    for (name, member) in members {
        match schema["properties"].get(name) {
            Some(schema) => conforms(schema, member, &format!("{at}.{name}"))?,
            None if schema["additionalProperties"] == false => {
                return fault(&format!("with {name}"));
            }
            None => {}
        }
    }
    Ok(())
}

#[test]
fn what_the_document_does_not_say_is_found() {
    let schema = |name: &str| &DOCUMENT["components"]["schemas"][name];
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    for (name, good, bad) in [
        ("Published", r#"{"stored":true}"#, r#"{"stored":1}"#),
        ("Published", r#"{"stored":true}"#, r#"{"stored":true,"more":1}"#),
        ("Error", r#"{"error":{"code":"busy","message":"x"}}"#, r#"{"error":{"code":"busy"}}"#),
        ("ErrorCode", r#""busy""#, r#""lazy""#),
        ("Results", r#"{"results":[{"stored":true}]}"#, r#"{"results":[{}]}"#),
    ] {
        assert_eq!(conforms(schema(name), &read(good), "$"), Ok(()));
        assert!(conforms(schema(name), &read(bad), "$").is_err(), "{bad}");
    }
    assert!(item_of("/v1/rooms/a%2Fb/history?limit=3").is_some());
    assert!(item_of("/v1/rooms/a/b/history").is_none() && item_of("/v1/rooms/a/").is_none());
}
