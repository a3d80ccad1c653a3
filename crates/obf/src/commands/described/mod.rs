//! The commands that are operations of an admin API: subcommands, flags and help are made from
//! `obf-admin`'s description, and so are the requests. A command of its own stands only where files or streams do.

mod flags;
mod several;

use crate::{
    admin::{Admin, Body, Node},
    cli::Context,
    failure::{Failure, Outcome},
    output::{Output, record},
};
use clap::{Arg, ArgMatches, Command};
use flags::Field;
use obf_admin::{Answer, Api, Content, Method, Operation, Parameter};
use serde_json::{Map, Value, json};

/// What was typed: an operation with its arguments.
pub struct Typed {
    operation: &'static Operation,
    arguments: ArgMatches,
}

fn described() -> impl Iterator<Item = (&'static str, &'static str, &'static Operation)> {
    obf_admin::operations().filter_map(|operation| match operation.cli.command {
        [noun, verb] => Some((*noun, *verb, operation)),
        _ => None,
    })
}

/// `--server`, of an operation that both servers have.
const SERVER: &str = "server";

/// The servers that have the operation.
fn servers(operation: &'static Operation) -> impl Iterator<Item = Api> {
    Api::ALL.into_iter().filter(|api| api.has(operation))
}

const fn node(api: Api) -> Node {
    match api {
        Api::Resource => Node::Resource,
        Api::Auth => Node::Auth,
    }
}

/// Adds every described command.
pub fn add_to(mut cli: Command) -> Command {
    for (noun, verb, operation) in described() {
        if cli.find_subcommand(noun).is_none() {
            let about = about(operation);
            let command =
                Command::new(noun).about(about).subcommand_required(true).arg_required_else_help(true);
            cli = cli.subcommand(command);
        }
        cli = cli.mut_subcommand(noun, |command| command.subcommand(command_of(noun, verb, operation)));
    }
    cli
}

/// The described command that was typed, if it was one.
pub fn typed(matches: &ArgMatches) -> Option<Typed> {
    let (noun, matches) = matches.subcommand()?;
    let (verb, arguments) = matches.subcommand()?;
    let (.., operation) = described().find(|(n, v, _)| *n == noun && *v == verb)?;
    Some(Typed { operation, arguments: arguments.clone() })
}

fn about(operation: &Operation) -> &'static str {
    let tag = operation.id.split('.').next().unwrap_or_default();
    let tags = obf_admin::resource::TAGS;
    tags.iter().find(|(name, _)| *name == tag).map_or("", |(_, about)| about.trim_end_matches('.'))
}

fn command_of(noun: &'static str, verb: &'static str, operation: &'static Operation) -> Command {
    let mut command = Command::new(verb).about(operation.summary);
    if !operation.cli.example.is_empty() {
        command = command.after_help(format!("Example:\n  {}", operation.cli.example));
    }
    for parameter in operation.path_parameters {
        command = command.arg(if operation.cli.flags {
            flags::flag(parameter).required(true)
        } else {
            flags::positional(parameter)
        });
    }
    for parameter in operation.query.iter().filter(|p| !matches!(p.name, "after" | "limit")) {
        command = command.arg(flags::flag(parameter));
    }
    for field in flags::fields(noun, operation) {
        command = command.arg(field.argument(operation));
    }
    if operation.method == Method::Patch {
        command = command.arg(flags::unset(operation));
    }
    if servers(operation).count() > 1 {
        let server = Arg::new(SERVER).long(SERVER).value_name("SERVER").value_parser(Api::ALL.map(Api::name));
        command = command.arg(server.help("Only of this server, of all that are configured if it is absent"));
    }
    if operation.conditional {
        let version = Arg::new("if-version").long("if-version").value_name("N");
        let help = "Only if it still has this version";
        command = command.arg(version.value_parser(clap::value_parser!(u64)).help(help));
    }
    if operation.changes() {
        command = command
            .arg(flags::flag(&obf_admin::parameter::REASON).id("reason").long("reason").value_name("TEXT"));
    }
    command
}

impl Typed {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let operation = self.operation;
        let noun = operation.cli.command.first().copied().unwrap_or_default();
        let values = self.path_values();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let fields = flags::fields(noun, operation);
        let body = self.body(&fields)?;
        let server = match servers(operation).collect::<Vec<_>>()[..] {
            [only] => only,
            ref several => return several::read(&self, several, context).await,
        };
        let admin = Admin::of(&context.configuration()?, node(server))?;
        let path = operation.path_of(&values) + &self.query(&[]);
        if let [Answer { content: Content::Page(name, _), .. }] = operation.answers {
            let rows = super::pages(&admin, &path, name).await?;
            context.out.table(&rows, operation.cli.columns);
            return Ok(());
        }
        let body =
            body.map_or(Body::Nothing, |body| Body::Json(operation.media_types().first().copied(), body));
        let said = match &body {
            Body::Json(_, body) => body.clone(),
            Body::Nothing => Value::Null,
        };
        let answer = admin.send(operation.method.name(), &path, &self.headers(), body).await;
        let answer = answer.map_err(|failure| teach(operation, failure, &said))?;
        if operation.cli.done.is_empty() {
            context.out.say(&answer, || record(&answer));
        } else {
            self.done(context.out, noun, &values, &said);
        }
        Ok(())
    }

    /// The query that was typed, without what is left out.
    fn query(&self, without: &[&str]) -> String {
        let parameters = self.operation.query.iter().filter(|parameter| !without.contains(&parameter.name));
        let query: Vec<_> = parameters.map(|parameter| (parameter.name, self.text(parameter.name))).collect();
        super::query(&query)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.arguments.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    fn path_values(&self) -> Vec<String> {
        let value = |parameter: &Parameter| self.text(parameter.name).unwrap_or_default().to_owned();
        self.operation.path_parameters.iter().map(value).collect()
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let reason = self.text("reason").map(|reason| ("obf-reason", reason.to_owned()));
        let version = self.arguments.try_get_one::<u64>("if-version").ok().flatten();
        reason.into_iter().chain(version.map(|version| ("if-match", format!("\"{version}\"")))).collect()
    }

    fn body(&self, fields: &[Field]) -> Result<Option<Value>, Failure> {
        if fields.is_empty() {
            return Ok(None);
        }
        let mut body = Map::new();
        for field in fields {
            if let Some(value) = field.value(&self.arguments)? {
                body.insert(field.name.to_owned(), value);
            }
        }
        for name in self.arguments.try_get_many::<String>("unset").ok().flatten().into_iter().flatten() {
            body.insert(name.replace('-', "_"), Value::Null);
        }
        Ok(Some(body.into()))
    }

    /// `device 00101… suspended`, or `{"device":"00101…","done":"suspended"}`.
    fn done(&self, out: Output, noun: &str, values: &[&str], body: &Value) {
        let of = |name: &str| body.get(name).and_then(Value::as_str).or_else(|| self.text(name));
        let id = match (of("app"), of("device").or_else(|| of("group"))) {
            (Some(app), Some(whom)) if self.operation.cli.flags => format!("{app} for {whom}"),
            _ => {
                values.first().copied().or_else(|| of(&noun.replace('-', "_"))).unwrap_or_default().to_owned()
            }
        };
        let done = self.operation.cli.done;
        out.say(&json!({ noun: id, "done": done }), || format!("{noun} {id} {done}"));
    }
}

/// What to type next where the arguments say it better than the code alone.
fn teach(operation: &Operation, failure: Failure, body: &Value) -> Failure {
    let app = body.get("app").and_then(Value::as_str).unwrap_or_default();
    match (operation.id, failure.code.as_str()) {
        ("grants.add", "unknown-device") => failure.next("obf device import FILE"),
        ("grants.add", "unknown-app") => failure.next(format!("obf app add {app} --cert-name {app}")),
        _ => failure,
    }
}
