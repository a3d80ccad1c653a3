//! A file a command; each turns its arguments into calls of a node, of the admin API or of the client.

pub mod app;
pub mod app_run;
pub mod backup;
#[cfg(feature = "bench")]
pub mod bench;
pub mod client;
pub mod completions;
pub mod demo;
pub mod described;
pub mod device;
pub mod device_import;
pub mod init;
pub mod kms;
pub mod personalise;
pub mod serve;

use crate::{
    admin::Admin,
    cli::{Command, Context, Either, Typed},
    failure::{Failure, Outcome},
    output::Output,
};
use obf_admin::routing::encoded;
use serde_json::{Value, json};

/// Runs what was typed.
pub async fn run(typed: Typed) -> Outcome {
    let context = Context { config: typed.config, out: Output { json: typed.json } };
    match typed.command {
        Either::Described(command) => command.run(&context).await,
        Either::Own(command) => own(command, &context).await,
    }
}

async fn own(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Demo(command) => command.run(context).await,
        Command::Init(command) => command.run(context),
        Command::Serve(command) => command.run(context).await,
        Command::Device(command) => command.run(context).await,
        Command::App(command) => command.run(context).await,
        Command::Kms(command) => command.run(context).await,
        Command::Client(command) => command.run(context).await,
        Command::Backup(command) => command.run(context).await,
        Command::Restore(command) => command.run(context).await,
        #[cfg(feature = "bench")]
        Command::Bench(command) => bench::run(command, context).await,
        Command::Completions(command) => command.run(),
    }
}

/// `device 00101… suspended`, or `{"device":"00101…","done":"suspended"}`.
fn done(context: &Context, kind: &str, id: &str, done: &str) {
    context.out.say(&json!({kind: id, "done": done}), || format!("{kind} {id} {done}"));
}

/// `?a=b&c=d` of those that are there.
fn query(parts: &[(&str, Option<&str>)]) -> String {
    let present: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={}", encoded(value))))
        .collect();
    if present.is_empty() { String::new() } else { format!("?{}", present.join("&")) }
}

/// Every row of a listing, page by page.
async fn pages(admin: &Admin, path: &str, name: &str) -> Result<Vec<Value>, Failure> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut rows = Vec::new();
    let mut page = path.to_owned();
    loop {
        let mut listing = admin.get(&page).await?;
        match listing.get_mut(name).map(Value::take) {
            Some(Value::Array(mut more)) => rows.append(&mut more),
            _ => return Err(Failure::other("admin", format_args!("the answer lists no {name}"))),
        }
        match listing.get("next").and_then(Value::as_str) {
            Some(next) => page = format!("{path}{separator}after={}", encoded(next)),
            None => return Ok(rows),
        }
    }
}
