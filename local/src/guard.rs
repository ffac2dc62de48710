//! Protection against web pages: requests of programs on this machine are answered, but not those that a browser sends
//! on behalf of a page from elsewhere.
//!
//! A page can send requests to loopback addresses, and after DNS rebinding it can read the responses. The first check
//! (`Host`) stops DNS rebinding; the second (`Origin`, `Sec-Fetch-Site`) stops everything else that a browser sends for
//! a page of another origin. Only browsers send these two headers.

use std::net::{IpAddr, Ipv4Addr};

use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, Uri};

/// Decides which requests are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// The accepted names and addresses, besides the loopback ones, in lower case.
    names: Vec<String>,
    /// Whether any IP address is accepted, because the server listens on all of them. An address cannot be rebound.
    any_address: bool,
}

impl Guard {
    /// Creates a guard for a server that listens on `host` and is also known by `names`.
    pub(crate) fn new(host: &str, names: &[String]) -> Self {
        let any_address = bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let names = names.iter().map(String::as_str).chain([host]);
        Self { names: names.map(|name| bare(name).to_ascii_lowercase()).collect(), any_address }
    }

    /// Checks a request. The error says why it is refused.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (Some(Ok(host)), None) => host,
            _ => return Err("The request must have one Host header.".to_owned()),
        };
        let named = uri.authority().map(Authority::as_str);
        for authority in [Some(host), named].into_iter().flatten() {
            if !authority.parse().is_ok_and(|authority| self.accepts(&authority)) {
                return Err(format!(
                    "The Host header is {authority:?}, but this endpoint answers only to loopback names and addresses. \
                     To accept another name, start it with --accept-host NAME."
                ));
            }
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            let same =
                origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
            if !same {
                return Err(format!("The request was sent by a web page of another origin, {origin:?}."));
            }
        }
        match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => {
                Err("The request was sent by a web page of another origin (Sec-Fetch-Site).".to_owned())
            }
        }
    }

    fn accepts(&self, authority: &Authority) -> bool {
        let host = bare(authority.host()).trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.names.contains(&host)
            || address.is_some_and(|ip| self.any_address || is_loopback(ip))
    }
}

/// Returns whether a control request cannot come from an HTML form or a script of another origin. Before a browser
/// sends JSON, this header, or a method other than GET and POST to another origin, it asks the server for permission
/// (CORS), which it never gets.
pub(crate) fn is_deliberate(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json =
        content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    method != Method::POST || is_json || headers.contains_key(CONTROL_HEADER)
}

/// Refuses a request that was not sent by a script of the endpoint's own page. Browsers send the origin with every
/// POST, [`Guard::check`] has refused all other origins, and only a script can set the control header.
pub(crate) fn check_own_page(headers: &HeaderMap) -> Result<(), String> {
    let is_own = headers.contains_key(ORIGIN) && headers.contains_key(CONTROL_HEADER);
    is_own.then_some(()).ok_or_else(|| {
        format!("Only the page at / can read values here; it sends the headers Origin and {CONTROL_HEADER}.")
    })
}

/// Returns whether a text is a host name or an address, without scheme and port, as in a `Host` header.
pub(crate) fn is_host(text: &str) -> bool {
    let host = bare(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    host.parse::<IpAddr>().is_ok() || host.split('.').all(is_label)
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().as_ref().is_some_and(Ipv4Addr::is_loopback),
    }
}

/// A header, with any value, that is accepted instead of the JSON content type.
pub(crate) const CONTROL_HEADER: &str = "x-secretcache-control";

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(guard: &Guard, headers: &[(&'static str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        guard.check(&"/".parse().unwrap(), &map)
    }

    #[test]
    fn hosts_are_loopback_or_given() {
        let guard = Guard::new("127.0.0.1", &["Secrets.Test".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:4584",
            "127.0.0.1:4584",
            "127.9.9.9",
            "[::1]:4584",
            "[::ffff:127.0.0.1]",
            "app.localhost:1",
            "localhost.",
            "secrets.test:4584",
        ] {
            assert_eq!(checked(&guard, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "attacker.example",
            "localhost.attacker.example",
            "127.0.0.1.nip.io:4584",
            "10.0.0.1",
            "[fe80::1]",
            "",
            "a b",
            "0.0.0.0:4584",
        ] {
            let refused = checked(&guard, &[("host", host)]).unwrap_err();
            assert!(refused.contains("--accept-host"), "{host}: {refused}");
        }
        assert!(checked(&guard, &[]).is_err());
        assert!(checked(&guard, &[("host", "localhost"), ("host", "localhost")]).is_err());
        let absolute = "http://attacker.example/".parse().unwrap();
        assert!(
            guard.check(&absolute, &HeaderMap::from_iter([(HOST, "localhost".parse().unwrap())])).is_err()
        );
    }

    #[test]
    fn what_no_host_header_can_be_is_no_host() {
        for host in ["secrets.test", "localstack", "my_service", "10.0.0.1", "::1", "[::1]"] {
            assert!(is_host(host), "{host}");
        }
        for text in ["http://x", "x:4584", "[::1]:4584", "x/y", "", ".", "a.", "a b", "*.x", "[x"] {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn a_server_on_every_address_takes_addresses_but_no_names() {
        let guard = Guard::new("0.0.0.0", &[]);
        assert_eq!(checked(&guard, &[("host", "192.168.1.7:4584")]), Ok(()));
        assert!(checked(&guard, &[("host", "attacker.example:4584")]).is_err());
        assert_eq!(checked(&Guard::new("192.168.1.7", &[]), &[("host", "192.168.1.7:4584")]), Ok(()));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let guard = Guard::new("127.0.0.1", &[]);
        let host = ("host", "localhost:4584");
        assert_eq!(checked(&guard, &[host, ("origin", "http://localhost:4584")]), Ok(()));
        for site in ["same-origin", "none"] {
            assert_eq!(checked(&guard, &[host, ("sec-fetch-site", site)]), Ok(()));
        }
        for origin in ["http://attacker.example", "null", "http://localhost:3000", "localhost:4584", ""] {
            assert!(checked(&guard, &[host, ("origin", origin)]).unwrap_err().contains("origin"), "{origin}");
        }
        for site in ["cross-site", "same-site", "?"] {
            assert!(checked(&guard, &[host, ("sec-fetch-site", site)]).is_err(), "{site}");
        }
    }
}
