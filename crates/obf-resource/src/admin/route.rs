//! Paths and queries.

use super::Problem;
use obf_store::resource::{DeviceId, State};
use obf_types::AppId;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v1/devices`
    Devices,
    /// `/v1/devices:import`
    DeviceImport,
    /// `/v1/devices/{identity}`
    Device(String),
    /// `/v1/devices/{identity}:{action}`
    DeviceAction(String, DeviceAction),
    /// `/v1/apps`
    Apps,
    /// `/v1/apps/{app}`
    App(AppId),
    /// `/v1/apps/{app}:{suspend|resume}`
    AppState(AppId, State),
    /// `/v1/grants`
    Grants,
    /// `/v1/grants/{identity}/{app}`
    Grant(String, AppId),
}

/// What is done to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAction {
    /// It authenticates no more.
    Suspend,
    /// It may again.
    Resume,
    /// Its tokens end.
    Revoke,
}

impl Route {
    /// Reads a path.
    ///
    /// # Errors
    /// A problem: unknown path, or a malformed part of a known one.
    pub fn parse(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let route = match segments.as_slice() {
            ["v1", "devices"] => Self::Devices,
            ["v1", "devices:import"] => Self::DeviceImport,
            ["v1", "devices", segment] => match segment.rsplit_once(':') {
                Some((id, "suspend")) => Self::DeviceAction(decoded(id)?, DeviceAction::Suspend),
                Some((id, "resume")) => Self::DeviceAction(decoded(id)?, DeviceAction::Resume),
                Some((id, "revoke")) => Self::DeviceAction(decoded(id)?, DeviceAction::Revoke),
                _ => Self::Device(decoded(segment)?),
            },
            ["v1", "apps"] => Self::Apps,
            ["v1", "apps", segment] => match segment.rsplit_once(':') {
                Some((id, "suspend")) => Self::AppState(app(id)?, State::Suspended),
                Some((id, "resume")) => Self::AppState(app(id)?, State::Active),
                _ => Self::App(app(segment)?),
            },
            ["v1", "grants"] => Self::Grants,
            ["v1", "grants", device, id] => Self::Grant(decoded(device)?, app(id)?),
            _ => return Err(Problem::route(path)),
        };
        Ok(route)
    }
}

/// The parameters behind `?`.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// A malformed escape.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, Problem>>()?))
    }

    /// The first parameter of that name that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// As a number.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let number = self.text(name).map(str::parse).transpose();
        number.map_err(|_| Problem::parameter(name, "a number is needed"))
    }

    /// `limit`, at most and by default `most`.
    ///
    /// # Errors
    /// It is no number.
    pub fn limit(&self, most: u32) -> Result<u32, Problem> {
        let limit = self.number("limit")?.unwrap_or(most.into());
        Ok(u32::try_from(limit).unwrap_or(most).clamp(1, most))
    }

    /// As an application's id.
    ///
    /// # Errors
    /// It is none.
    pub fn app(&self, name: &str) -> Result<Option<AppId>, Problem> {
        let app = self.text(name).map(AppId::new).transpose();
        app.map_err(|error| Problem::parameter(name, error))
    }
}

/// The cursor of a listing of grants: `{device}/{app}`.
pub fn grant_cursor(text: &str) -> Result<(DeviceId, AppId), Problem> {
    let cursor = text
        .split_once('/')
        .and_then(|(device, app)| Some((DeviceId::from_cursor(device.parse().ok()?), AppId::new(app).ok()?)));
    cursor.ok_or_else(|| Problem::parameter("after", "give the 'next' of the listing before"))
}

fn app(segment: &str) -> Result<AppId, Problem> {
    AppId::new(&decoded(segment)?).map_err(|error| Problem::parameter("app", error))
}

fn decoded(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::parameter("path or query", "malformed percent-encoding");
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
        let digits = digits.map(|digit| char::from(digit).to_digit(16));
        let [Some(high), Some(low)] = digits else { return Err(wrong()) };
        octets.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(octets).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let app = |name| AppId::new(name).unwrap();
        for (path, route) in [
            ("/v1/devices", Route::Devices),
            ("/v1/devices:import", Route::DeviceImport),
            ("/v1/devices/00101", Route::Device("00101".into())),
            ("/v1/devices/iccid%3A89", Route::Device("iccid:89".into())),
            ("/v1/devices/imsi:00101:revoke", Route::DeviceAction("imsi:00101".into(), DeviceAction::Revoke)),
            ("/v1/devices/a%40b:suspend", Route::DeviceAction("a@b".into(), DeviceAction::Suspend)),
            ("/v1/apps/a.example", Route::App(app("a.example"))),
            ("/v1/apps/a.example:resume", Route::AppState(app("a.example"), State::Active)),
            ("/v1/grants/00101/a.example", Route::Grant("00101".into(), app("a.example"))),
        ] {
            assert_eq!(Route::parse(path), Ok(route), "{path}");
        }
        assert_eq!(Route::parse("/v1/nothing").unwrap_err().code, "unknown-route");
        for bad in ["/v1/devices/%4", "/v1/devices/%zz", "/v1/devices/%ff", "/v1/apps/UPPER.example"] {
            assert_eq!(Route::parse(bad).unwrap_err().code, "bad-parameter", "{bad}");
        }
    }

    #[test]
    fn queries_are_read() {
        let query = Query::parse(Some("device=a%3Ab&limit=5000&app=&x")).unwrap();
        assert_eq!(query.text("device"), Some("a:b"));
        assert_eq!(query.text("app"), None);
        assert_eq!(query.limit(1000).unwrap(), 1000);
        assert!(query.number("device").is_err());
        assert!(Query::parse(Some("limit=x")).unwrap().limit(9).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_paths_never_panic(path: String) {
            let _ = Route::parse(&path);
            let _ = Query::parse(Some(&path));
        }
    }
}
