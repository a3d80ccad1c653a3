//! What several servers have, asked of one after the other: the audit. Of all that the deployment has and that were started,
//! unless one is named.

use super::{SERVER, Typed, node};
use crate::{
    admin::Admin,
    cli::Context,
    failure::{Failure, Outcome},
    output::{Output, record},
};
use obf_admin::{Answer, Api, Content};
use serde_json::Value;

/// How an audit that was tampered with is told, whatever else went wrong.
const ALTERED: &str = "audit-altered";
/// What is said of a server that was not started from this configuration, or was stopped.
const NOT_RUNNING: &str = "not-running";

/// Reads it. One that cannot be reached keeps nothing back of the others.
pub async fn read(typed: &Typed, several: &[Api], context: &Context) -> Outcome {
    let configuration = context.configuration()?;
    let mut asked: Vec<Api> = match typed.text(SERVER) {
        Some(server) => several.iter().copied().filter(|api| api.name() == server).collect(),
        None => several.iter().copied().filter(|api| configuration.has_admin(node(*api))).collect(),
    };
    if asked.is_empty() {
        // Then it is said what is missing.
        asked = several.to_vec();
    }
    let mut admins: Vec<Reached> =
        asked.into_iter().map(|api| (api, Admin::of(&configuration, node(api)))).collect();
    let mut stopped = Vec::new();
    if admins.iter().any(|(_, admin)| admin.is_ok()) {
        // A host may run one server of the two that its configuration has.
        let stops =
            |(_, admin): &mut Reached| admin.as_ref().err().is_some_and(|one| one.code == NOT_RUNNING);
        stopped.extend(admins.extract_if(.., stops).map(|(api, _)| api));
    }
    let outcome = match typed.operation.answers {
        [Answer { content: Content::Page(name, _), .. }] => list(typed, admins, name, context.out).await,
        // Only lines: they may be on their way into a file.
        [Answer { content: Content::Lines(_), .. }] => return export(typed, admins, context.out).await,
        _ => verify(typed, admins, context.out).await,
    };
    for api in stopped {
        context
            .out
            .remark(|| format!("the {} server does not run here: its audit is not looked at", api.name()));
    }
    outcome
}

/// A server, and its admin API or why it cannot be asked.
type Reached = (Api, Result<Admin, Failure>);

/// One table of all, in order of time.
async fn list(typed: &Typed, admins: Vec<Reached>, name: &str, out: Output) -> Outcome {
    let (mut rows, mut outcome) = (Vec::new(), Ok(()));
    let path = path(typed, &[]);
    for (api, admin) in admins {
        let read = async { crate::commands::pages(&admin?, &path, name).await };
        match read.await {
            Ok(more) => rows.extend(more.into_iter().map(|row| of(api, row))),
            Err(failure) => outcome = worse(outcome, failure),
        }
    }
    // Times are written so that their order is that of the texts; of one server the order stays.
    rows.sort_by_key(|row| row.get("at").and_then(Value::as_str).unwrap_or_default().to_owned());
    let columns: Vec<&str> =
        std::iter::once(SERVER).chain(typed.operation.cli.columns.iter().copied()).collect();
    out.table(&rows, &columns);
    outcome
}

/// Line by line, one server after the other.
async fn export(typed: &Typed, admins: Vec<Reached>, out: Output) -> Outcome {
    let mut outcome = Ok(());
    let path = path(typed, &[]);
    for (api, admin) in admins {
        let written = async {
            let admin = admin?;
            let mut report = admin.lines(&path).await?;
            while let Some(line) = report.next().await? {
                let line = of(api, line);
                out.say(&line, || line.to_string());
            }
            Ok::<(), Failure>(())
        };
        if let Err(failure) = written.await {
            outcome = worse(outcome, failure);
        }
    }
    outcome
}

/// Each chain. A head that was noted is in one of them: whose it is need not be known.
async fn verify(typed: &Typed, admins: Vec<Reached>, out: Output) -> Outcome {
    let several = admins.len() > 1;
    let (mut answers, mut outcome) = (Vec::new(), Ok(()));
    for (api, admin) in admins {
        let ask = async {
            let admin = admin?;
            let with_head = admin.get(&path(typed, &[])).await?;
            let without = match typed.text("head") {
                Some(_) if several => admin.get(&path(typed, &["head"])).await?,
                _ => with_head.clone(),
            };
            Ok::<_, Failure>((with_head, without))
        };
        match ask.await {
            Ok((with_head, without)) => answers.push((api, with_head, without)),
            Err(failure) => outcome = worse(outcome, failure),
        }
    }
    // Not found in the chains that were asked it may be in one that was not.
    let found = outcome.is_err()
        || answers.iter().any(|(_, with_head, without)| faults(with_head) == faults(without));
    for (api, with_head, without) in answers {
        let answer = of(api, if found { without } else { with_head });
        out.say(&answer, || record(&answer));
        if answer.get("intact").and_then(Value::as_bool) != Some(true) {
            let text = format_args!(
                "the audit of the {} server is not as it was written: {} faults",
                api.name(),
                faults(&answer)
            );
            outcome = worse(outcome, Failure::bad_data(ALTERED, text));
        }
    }
    outcome
}

fn faults(answer: &Value) -> usize {
    answer.get("faults").and_then(Value::as_array).map_or(0, Vec::len)
}

fn path(typed: &Typed, without: &[&str]) -> String {
    typed.operation.path_of(&[]) + &typed.query(without)
}

/// Whose it is stands beside it.
fn of(api: Api, mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(SERVER.to_owned(), api.name().into());
    }
    value
}

/// The first failure is told, but that somebody altered something before anything else.
fn worse(outcome: Outcome, failure: Failure) -> Outcome {
    match outcome {
        Err(first) if failure.code != ALTERED || first.code == ALTERED => Err(first),
        _ => Err(failure),
    }
}
