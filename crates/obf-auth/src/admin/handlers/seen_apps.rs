//! Applications that asked for keys.

use crate::admin::{Administration, standing::is_of};
use obf_admin::resource::seen::SeenApp;
use obf_admin_http::{AdminRequest, Reply, reply::page};
use std::collections::BTreeMap;

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let table = work.locator.table();
    let mut seen: BTreeMap<String, SeenApp> = BTreeMap::new();
    for served in table.servers().iter().filter(|served| is_of(&asked.caller, served)) {
        for (app, known) in served.applications.seen() {
            let app = app.to_string();
            if *app <= *after {
                continue;
            }
            let entry = seen.entry(app.clone()).or_insert_with(|| SeenApp {
                app,
                registered_at: Vec::new(),
                refusal: None,
                cert_names: Vec::new(),
            });
            match known {
                Ok(registration) => {
                    entry.registered_at.push(served.server.name().to_owned());
                    entry.cert_names.extend(registration.cert_names.iter().cloned());
                }
                Err(refusal) => entry.refusal = Some(refusal.to_string()),
            }
        }
    }
    let rows = seen.into_values().map(|mut app| {
        app.cert_names.sort_unstable();
        app.cert_names.dedup();
        app.refusal = app.refusal.filter(|_| app.registered_at.is_empty());
        app
    });
    let rows = rows.take(asked.limit() as usize + 1).collect();
    page("seen-apps", rows, asked.limit(), |app| app.app.clone(), SeenApp::clone)
}
