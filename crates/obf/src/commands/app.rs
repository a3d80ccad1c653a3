//! `obf app …`: applications at the Resource Server, and a small application server to try things against.

use super::app_run::Run;
use crate::{
    admin::{Admin, Node, encoded},
    cli::Context,
    failure::Outcome,
    output::record,
};
use clap::{Args, Subcommand};
use obf_types::AppId;
use serde_json::json;

/// Applications.
#[derive(Subcommand)]
pub enum App {
    /// Register an application and the certificates that may ask for its keys.
    #[command(after_help = "Example:\n  obf app add track.example --cert-name track.example --ua tls-psk")]
    Add(Add),
    /// All applications.
    List,
    /// One application.
    Show(Id),
    /// Give no more keys for it; those in use end at once.
    Suspend(Id),
    /// Give keys for it again.
    Resume(Id),
    /// Forget it and every grant of it.
    Remove(Id),
    /// Run a small application server on the SDK: echo, or hand the plain stream on.
    Run(Run),
}

/// What is registered.
#[derive(Args)]
pub struct Add {
    /// The application's id: its lower-case domain name.
    id: AppId,
    /// A dNSName of a certificate that may ask for its keys; may be repeated.
    #[arg(long = "cert-name", required = true)]
    cert_names: Vec<AppId>,
    /// A security protocol it speaks: tls-psk, http-digest, or 10 hex digits of a Ua id; may be repeated.
    #[arg(long = "ua", default_value = "tls-psk")]
    ua: Vec<String>,
}

/// Which application.
#[derive(Args)]
pub struct Id {
    /// The application's id.
    app: String,
}

impl App {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        if let Self::Run(run) = self {
            return run.run(context).await;
        }
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        match self {
            Self::Run(run) => run.run(context).await,
            Self::Add(add) => {
                let names: Vec<&str> = add.cert_names.iter().map(AppId::as_str).collect();
                let body = json!({"app": add.id.as_str(), "cert_names": names, "ua": add.ua});
                admin.post("/v1/apps", &body).await?;
                super::done(context, "app", add.id.as_str(), "added");
                Ok(())
            }
            Self::List => {
                let rows = super::pages(&admin, "/v1/apps", "apps").await?;
                context.out.table(&rows, &["app", "cert_names", "ua", "state"]);
                Ok(())
            }
            Self::Show(id) => {
                let app = admin.get(&path(&id, "")).await?;
                context.out.say(&app, || record(&app));
                Ok(())
            }
            Self::Suspend(id) => act(context, &admin, &id, ":suspend", "suspended").await,
            Self::Resume(id) => act(context, &admin, &id, ":resume", "resumed").await,
            Self::Remove(id) => {
                admin.delete(&path(&id, "")).await?;
                super::done(context, "app", &id.app, "removed");
                Ok(())
            }
        }
    }
}

async fn act(context: &Context, admin: &Admin, id: &Id, verb: &str, done: &str) -> Outcome {
    admin.post(&path(id, verb), &json!({})).await?;
    super::done(context, "app", &id.app, done);
    Ok(())
}

fn path(id: &Id, verb: &str) -> String {
    format!("/v1/apps/{}{verb}", encoded(&id.app))
}
