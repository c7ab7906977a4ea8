//! The portal's files, which are in the binary: compressed ahead, cached for ever where the name carries a hash, and with a
//! policy that lets pages load nothing from elsewhere.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// CodeMirror and the map set styles on elements; nothing else is let off.
const POLICY: &str = "default-src 'self'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'; \
                      object-src 'none'; base-uri 'self'; form-action 'self'";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const NOT_BUILT: &str = "The portal is not in this binary: it was built without `npm ci && npm run build` in web/.\n\
                         The API is under /api/v1.\n";

/// Answers a path outside the API: a file, or the page that shows every address of the portal. `None` is a missing file.
pub(crate) fn serve(uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let path = uri.path().trim_start_matches('/');
    if is_file(path) {
        return answer(path, headers);
    }
    if Files::get("index.html").is_none() {
        return Some(NOT_BUILT.into_response());
    }
    answer("index.html", headers)
}

/// Files lie at the root and in `assets`. One that is missing is not answered with a page, which would leave the browser
/// with neither. Everywhere else a dot is part of a name, such as `/schemas/shop.v1.Order`.
fn is_file(path: &str) -> bool {
    path.starts_with("assets/") || (path.contains('.') && !path.contains('/'))
}

fn answer(path: &str, headers: &HeaderMap) -> Option<Response> {
    // Compressed twins are no addresses of their own.
    if path.ends_with(".br") || path.ends_with(".gz") {
        return None;
    }
    let plain = Files::get(path)?;
    let etag = etag(&plain);
    let mut response = if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (file, encoding) = smallest(path, plain, headers);
        let mut response = Body::from(file.data.into_owned()).into_response();
        if let Some(encoding) = encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let out = response.headers_mut();
    let cache = if path.starts_with("assets/") { FOR_EVER } else { "no-cache" };
    for (name, value) in [
        (header::CONTENT_TYPE, media_type(path)),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        out.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, etag);
    }
    Some(response)
}

fn etag(file: &EmbeddedFile) -> String {
    let hash: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

/// The file as the client can take it in the fewest bytes.
fn smallest(path: &str, plain: EmbeddedFile, headers: &HeaderMap) -> (EmbeddedFile, Option<&'static str>) {
    for (suffix, encoding) in [("br", "br"), ("gz", "gzip")] {
        if accepts_encoding(headers, encoding)
            && let Some(file) = Files::get(&format!("{path}.{suffix}"))
        {
            return (file, Some(encoding));
        }
    }
    (plain, None)
}

fn accepts_encoding(headers: &HeaderMap, encoding: &str) -> bool {
    headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|accepted| {
        accepted.split(',').any(|part| {
            let mut words = part.split(';').map(str::trim);
            words.next() == Some(encoding) && !words.any(|word| word == "q=0" || word == "q=0.0")
        })
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "geojson" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::is_file;

    #[test]
    fn a_name_with_dots_is_a_page() {
        for file in ["mark.svg", "favicon.ico", "assets/index-abc.js", "assets/gone"] {
            assert!(is_file(file), "{file}");
        }
        for page in ["", "daggers", "schemas/shop.v1.Order", "topics/orders.json"] {
            assert!(!is_file(page), "{page}");
        }
    }
}
