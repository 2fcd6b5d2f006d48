//! The pages and scripts of `web/`, embedded into the binary.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, Response, StatusCode};
use rust_embed::Embed;

/// What pages may load and do: nothing but what this gateway serves. Not every browser counts the
/// WebSockets of the page's own host as `'self'`, so they are named.
fn policy(headers: &HeaderMap) -> Option<HeaderValue> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let in_address =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    let sockets = host
        .filter(|host| host.bytes().all(in_address))
        .map(|host| format!(" ws://{host} wss://{host}"))
        .unwrap_or_default();
    let policy = format!(
        "default-src 'self'; img-src 'self' data: blob:; connect-src 'self'{sockets}; \
         base-uri 'none'; form-action 'none'; object-src 'none'"
    );
    HeaderValue::from_str(&policy).ok()
}

#[derive(Embed)]
#[folder = "../web"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.svg"]
#[exclude = "node_modules/*"]
#[exclude = "tests/*"]
struct Web;

/// The page or script at a path below the base path, if there is one.
pub(crate) fn find(path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let name = match path {
        "/" => "index.html",
        "/overlay" => "overlay.html",
        _ => path.strip_prefix("/assets/").filter(|name| !name.ends_with(".html"))?,
    };
    let file = Web::get(name)?;
    let hash = file.metadata.sha256_hash();
    let etag: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = HeaderValue::from_str(&format!("\"{etag}\"")).ok()?;
    let unchanged = headers.get(IF_NONE_MATCH) == Some(&etag);
    let mut response = Response::new(match file.data {
        _ if unchanged => Bytes::new(),
        std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
        std::borrow::Cow::Owned(data) => data.into(),
    });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let content_type = HeaderValue::from_str(&content_type(file.metadata.mimetype())).ok()?;
    let policy = policy(headers)?;
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("content-security-policy", policy);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    Some(response)
}

fn content_type(mime: &str) -> String {
    if mime.starts_with("text/") { format!("{mime}; charset=utf-8") } else { mime.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_open_sockets_to_their_own_host_and_a_strange_one_is_not_believed() {
        let connect = |host: &'static str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            let policy = policy(&headers).unwrap().to_str().unwrap().to_owned();
            let found = policy.split("; ").find_map(|part| part.strip_prefix("connect-src "));
            found.unwrap().to_owned()
        };
        assert_eq!(connect("a.example:8080"), "'self' ws://a.example:8080 wss://a.example:8080");
        assert_eq!(connect("[::1]:80"), "'self' ws://[::1]:80 wss://[::1]:80");
        for strange in ["a; script-src *", "a b", "*", "a,b", "https://a"] {
            assert_eq!(connect(strange), "'self'", "{strange}");
        }
    }
}
