//! From a method and a path to the operation and its parameters.

use crate::{Method, Operation};
use obf_types::percent;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operation.
    pub operation: &'static Operation,
    /// The parameters of the path, decoded, in its order.
    pub parameters: Vec<String>,
}

/// Why a request asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing is served at that path.
    Unknown,
    /// The path is served, with these methods only.
    Method(Vec<&'static str>),
    /// Invalid percent-encoding, or one of octets that are not UTF-8.
    Encoding,
}

pub(crate) fn find(
    operations: impl Iterator<Item = &'static Operation>,
    method: &str,
    path: &str,
) -> Result<Route, NoRoute> {
    let mut found: Vec<(u32, &'static Operation, Vec<&str>)> = operations
        .filter_map(|operation| {
            let (literal, values) = matched(operation.path, path)?;
            Some((literal, operation, values))
        })
        .collect();
    // `/v1/devices/{device}:suspend` before `/v1/devices/{device}`, whatever the method.
    let closest = found.iter().map(|(literal, ..)| *literal).max().ok_or(NoRoute::Unknown)?;
    found.retain(|(literal, ..)| *literal == closest);
    let wanted = if method == "HEAD" { "GET" } else { method };
    let Some((_, operation, values)) =
        found.iter().find(|(_, operation, _)| operation.method.name() == wanted)
    else {
        return Err(NoRoute::Method(allowed(found.iter().map(|(_, operation, _)| operation.method))));
    };
    let parameters =
        values.iter().map(|value| decoded(value).ok_or(NoRoute::Encoding)).collect::<Result<_, _>>()?;
    Ok(Route { operation, parameters })
}

fn allowed(methods: impl Iterator<Item = Method>) -> Vec<&'static str> {
    let mut names: Vec<&str> = methods.map(Method::name).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names
}

/// A parameter that may contain `/`: the base64 of a token id, where its writer did not escape it.
const SPANNING: &str = "{token}";

/// How many octets of the path stand in the template literally, and the values of its parameters, still encoded.
fn matched<'p>(template: &str, path: &'p str) -> Option<(u32, Vec<&'p str>)> {
    let (mut literal, mut values) = (0, Vec::new());
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    if let Some((before, last)) = template.rsplit_once('/')
        && last.starts_with(SPANNING)
    {
        // Where it begins is known by the segments before it, and it ends with the path.
        let at = path.match_indices('/').nth(before.matches('/').count()).map(|(at, _)| at)?;
        let (head, tail) = path.split_at(at);
        let (length_before, mut values) = matched(before, head)?;
        let suffix = last.get(SPANNING.len()..).unwrap_or_default();
        values.push(tail.get(1..)?.strip_suffix(suffix).filter(|value| !value.is_empty())?);
        return Some((length_before + length(suffix), values));
    }
    loop {
        let (wanted, given) = match (wanted.next(), given.next()) {
            (None, None) => return Some((literal, values)),
            (Some(wanted), Some(given)) => (wanted, given),
            _ => return None,
        };
        match wanted.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            None if wanted == given => literal += length(wanted),
            None => return None,
            Some((_, suffix)) => {
                let value = given.strip_suffix(suffix).filter(|value| !value.is_empty())?;
                literal += length(suffix);
                values.push(value);
            }
        }
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX / 64)
}

/// The parameters of a query, decoded.
///
/// # Errors
/// [`NoRoute::Encoding`].
pub fn query(text: &str) -> Result<Vec<(String, String)>, NoRoute> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let spaced = |text: &str| decoded(&text.replace('+', " "));
        Some((spaced(name)?, spaced(value)?))
    });
    pairs.collect::<Option<_>>().ok_or(NoRoute::Encoding)
}

/// Undoes percent-encoding; `None` if it is malformed, or what it stands for is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(text.as_bytes())?).ok()
}

/// One path segment or query value, percent-encoded (RFC 3986 unreserved characters stay).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent::encode(text.as_bytes(), percent::is_unreserved, &mut out);
    out
}

impl Operation {
    /// Its path with these values for its parameters, in order.
    pub fn path_of(&self, values: &[&str]) -> String {
        let (mut path, mut values) = (String::new(), values.iter());
        let mut rest = self.path;
        while let Some((before, after)) = rest.split_once('{') {
            let (_, behind) = after.split_once('}').unwrap_or(("", after));
            path.push_str(before);
            path.push_str(&encoded(values.next().copied().unwrap_or_default()));
            rest = behind;
        }
        path + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: [Operation; 8] = [
        Operation { id: "token", path: "/v1/tokens/{token}", ..Operation::GET },
        Operation { id: "end", path: "/v1/tokens/{token}:revoke", ..Operation::POST },
        Operation { id: "list", path: "/v1/devices", ..Operation::GET },
        Operation { id: "add", path: "/v1/devices", ..Operation::POST },
        Operation { id: "import", path: "/v1/devices:import", ..Operation::POST },
        Operation { id: "show", path: "/v1/devices/{device}", ..Operation::GET },
        Operation { id: "suspend", path: "/v1/devices/{device}:suspend", ..Operation::POST },
        Operation { id: "ungrant", path: "/v1/grants/{device}/{app}", ..Operation::DELETE },
    ];

    fn ask(method: &str, path: &str) -> Result<(&'static str, Vec<String>), NoRoute> {
        find(TABLE.iter(), method, path).map(|route| (route.operation.id, route.parameters))
    }

    #[test]
    fn requests_find_their_operation() {
        for (method, path, id, parameters) in [
            ("GET", "/v1/devices", "list", &[][..]),
            ("HEAD", "/v1/devices", "list", &[]),
            ("POST", "/v1/devices", "add", &[]),
            ("POST", "/v1/devices:import", "import", &[]),
            ("GET", "/v1/devices/imsi:00101", "show", &["imsi:00101"]),
            ("GET", "/v1/devices/iccid%3A89", "show", &["iccid:89"]),
            ("POST", "/v1/devices/imsi:00101:suspend", "suspend", &["imsi:00101"]),
            ("GET", "/v1/devices/a%3Asuspend", "show", &["a:suspend"]),
            ("DELETE", "/v1/grants/a%40b/x.example", "ungrant", &["a@b", "x.example"]),
            ("GET", "/v1/tokens/a%2Fb+==@rs.example", "token", &["a/b+==@rs.example"]),
            ("GET", "/v1/tokens/a/b//c==@rs.example", "token", &["a/b//c==@rs.example"]),
            ("POST", "/v1/tokens/a/b==@rs.example:revoke", "end", &["a/b==@rs.example"]),
        ] {
            let parameters = parameters.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(ask(method, path), Ok((id, parameters)), "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_served_is_said() {
        for path in ["/", "", "/v1/devices/", "/v1/nothing", "/v1/devices/a/b", "/v2/devices", "//v1/devices"]
        {
            assert_eq!(ask("GET", path), Err(NoRoute::Unknown), "{path}");
        }
        assert_eq!(ask("GET", "/v1/devices/%zz"), Err(NoRoute::Encoding));
        assert_eq!(ask("GET", "/v1/devices/%ff"), Err(NoRoute::Encoding));
        assert_eq!(ask("PUT", "/v1/devices"), Err(NoRoute::Method(vec!["GET", "POST", "HEAD", "OPTIONS"])));
        assert_eq!(ask("GET", "/v1/devices/a:suspend"), Err(NoRoute::Method(vec!["POST", "OPTIONS"])));
    }

    #[test]
    fn paths_are_written_as_they_are_read() {
        let [.., suspend, ungrant] = &TABLE;
        assert_eq!(suspend.path_of(&["a/b:c"]), "/v1/devices/a%2Fb%3Ac:suspend");
        assert_eq!(ungrant.path_of(&["001", "x.example"]), "/v1/grants/001/x.example");
        assert_eq!(encoded("a+/==@rs"), "a%2B%2F%3D%3D%40rs");
    }

    proptest::proptest! {
        #[test]
        fn any_path_and_query_is_read_without_harm(text: String, id in "[!-~]{1,20}") {
            let _ = (crate::Api::ALL.map(|api| api.route("GET", &text).is_ok()), query(&text));
            let [.., suspend, _] = &TABLE;
            let found = ask("POST", &suspend.path_of(&[&id]));
            proptest::prop_assert_eq!(found, Ok(("suspend", vec![id])));
        }
    }
}
