//! The pages and scripts of `web/`, embedded into the binary.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, Response, StatusCode};
use rust_embed::Embed;

/// What pages may load and do: nothing but what this gateway serves.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
    base-uri 'none'; form-action 'none'; object-src 'none'";

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
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    Some(response)
}

fn content_type(mime: &str) -> String {
    if mime.starts_with("text/") { format!("{mime}; charset=utf-8") } else { mime.to_owned() }
}
