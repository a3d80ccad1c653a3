//! From the schema of a field or a parameter to its flag, and from the flag to JSON.

use crate::{failure::Failure, files};
use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};
use obf_admin::{Body, Method, Operation, Parameter, Values, check, schema::schemas};
use obf_types::Lifetime;
use serde_json::Value;
use std::path::Path;

/// A field of the JSON body.
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    positional: bool,
    required: bool,
    schema: &'static Value,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    /// A whole number of seconds, written 90s, 15m or 8h.
    Seconds,
    Switch,
    /// Of texts or of objects: the flag is repeated.
    List(&'static Value),
}

/// The fields of an operation's body that are no parameters of its path.
pub fn fields(noun: &str, operation: &'static Operation) -> Vec<Field> {
    if matches!(operation.body, Body::None | Body::Stream(_)) {
        return Vec::new();
    }
    let Some(schema) = schemas().body(operation.id) else { return Vec::new() };
    let schema = schemas().resolved(schema);
    let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = list("required").filter_map(Value::as_str).collect();
    let id = noun.replace('-', "_");
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let field = |(name, schema): (&'static String, &'static Value)| Field {
        name,
        positional: *name == id && !operation.cli.flags,
        required: required.contains(&name.as_str()),
        schema,
        shape: shape(schema),
    };
    properties.map(field).collect()
}

/// Without `null`, which is what an absent flag is, and without the reference.
fn substance(schema: &'static Value) -> &'static Value {
    let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let mut some = alternatives.filter(|schema| schema.get("type").and_then(Value::as_str) != Some("null"));
    schemas().resolved(some.next().unwrap_or(schema))
}

fn shape(schema: &'static Value) -> Shape {
    let schema = substance(schema);
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => None,
    };
    match kind {
        Some("integer") if schema.get("format").and_then(Value::as_str) == Some("seconds") => Shape::Seconds,
        Some("integer") => Shape::Number,
        Some("boolean") => Shape::Switch,
        Some("array") => schema.get("items").map_or(Shape::Text, |items| Shape::List(substance(items))),
        _ => Shape::Text,
    }
}

/// Every word of an enumeration, if it is one.
fn words(schema: &'static Value) -> Vec<&'static str> {
    let schema = substance(schema);
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let alternatives = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let of_alternative = |schema: &'static Value| {
        let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        schema.get("const").into_iter().chain(listed)
    };
    listed.chain(alternatives.flat_map(of_alternative)).filter_map(Value::as_str).collect()
}

impl Field {
    /// Its argument.
    pub fn argument(&self, operation: &Operation) -> Arg {
        let help = self.schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let help = help.replace('`', "").replace('\n', " ").trim_end_matches('.').to_owned();
        let change = operation.method == Method::Patch;
        let name = self.name.strip_suffix('s').filter(|_| matches!(self.shape, Shape::List(_)));
        let name = name.unwrap_or(self.name).to_uppercase();
        let mut argument = Arg::new(self.name).help(help).required(self.required && !change).value_name(name);
        let default = operation.cli.defaults.iter().find(|(name, _)| *name == self.name).filter(|_| !change);
        if let Some((_, default)) = default {
            argument = argument.default_value(*default).required(false);
        }
        if self.positional {
            return self.valued(argument);
        }
        let kebab = self.name.replace('_', "-");
        match self.shape {
            Shape::Switch if change => argument.long(kebab).value_parser(clap::value_parser!(bool)),
            Shape::Switch => argument.long(kebab).required(false).action(ArgAction::SetTrue),
            Shape::List(_) => {
                let help = format!("{}; may be repeated", argument.get_help().cloned().unwrap_or_default());
                let one = kebab.strip_suffix('s').unwrap_or(&kebab).to_owned();
                self.valued(argument).long(one).action(ArgAction::Append).help(help)
            }
            _ => self.valued(argument).long(kebab),
        }
    }

    fn valued(&self, argument: Arg) -> Arg {
        let schema = match self.shape {
            Shape::List(items) => items,
            _ => self.schema,
        };
        let words = words(schema);
        if !words.is_empty() {
            return argument.value_parser(PossibleValuesParser::new(words));
        }
        let (shape, list) = (self.shape, matches!(self.shape, Shape::List(_)));
        argument.value_parser(move |text: &str| match text.strip_prefix('@') {
            Some(_) if list => Ok(text.to_owned()),
            _ => json(shape, schema, text).map(|_| text.to_owned()),
        })
    }

    /// What was typed, as JSON.
    pub fn value(&self, arguments: &ArgMatches) -> Result<Option<Value>, Failure> {
        let read = |schema, text: &str| json(self.shape, schema, text).map_err(Failure::usage);
        match self.shape {
            Shape::Switch => Ok(arguments.get_one::<bool>(self.name).map(|value| (*value).into())),
            Shape::List(items) => {
                let Some(texts) = arguments.get_many::<String>(self.name) else { return Ok(None) };
                let mut values = Vec::new();
                for text in texts {
                    match text.strip_prefix('@') {
                        None => values.push(read(items, text)?),
                        Some(file) => {
                            let content = files::read(Path::new(file))?;
                            let content = String::from_utf8_lossy(&content);
                            let lines = content.lines().map(str::trim).filter(|line| !line.is_empty());
                            values
                                .extend(lines.map(|line| read(items, line)).collect::<Result<Vec<_>, _>>()?);
                        }
                    }
                }
                Ok(Some(values.into()))
            }
            _ => {
                let text = arguments.get_one::<String>(self.name);
                text.map(|text| read(self.schema, text)).transpose()
            }
        }
    }
}

/// A text as a value that fits its schema.
fn json(shape: Shape, schema: &Value, text: &str) -> Result<Value, String> {
    let value = match shape {
        Shape::Seconds => {
            let lifetime = Lifetime::parse(text).ok_or("1s to 24h, written 90s, 15m or 8h")?;
            lifetime.seconds().into()
        }
        Shape::Number => text.parse::<u64>().map_err(|_| "a whole number")?.into(),
        Shape::List(items) if items.get("type").and_then(Value::as_str) == Some("object") => {
            serde_json::from_str(text).map_err(|error| format!("a JSON object: {error}"))?
        }
        _ => Value::from(text),
    };
    match check::check(schema, &value).first() {
        Some(fault) => {
            Err(format!("{} {}", fault.pointer.trim_start_matches('/'), fault.wanted).trim().to_owned())
        }
        None => Ok(value),
    }
}

/// A parameter of a path.
pub fn positional(parameter: &'static Parameter) -> Arg {
    checked(parameter).required(true)
}

/// A parameter of a query.
pub fn flag(parameter: &'static Parameter) -> Arg {
    checked(parameter).long(parameter.name)
}

fn checked(parameter: &'static Parameter) -> Arg {
    let argument = Arg::new(parameter.name)
        .help(parameter.description.trim_end_matches('.'))
        .value_name(parameter.name.to_uppercase().replace('-', "_"));
    match parameter.values {
        Values::OneOf(words) => argument.value_parser(PossibleValuesParser::new(words)),
        // `--due` alone says yes.
        Values::Truth => argument
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_name("BOOL"),
        _ => argument.value_parser(|text: &str| match parameter.fault(text) {
            Some(wanted) => Err(wanted),
            None => Ok(text.to_owned()),
        }),
    }
}

/// `--unset FIELD` of a change.
pub fn unset(operation: &'static Operation) -> Arg {
    let names = fields("", operation).into_iter().map(|field| field.name.replace('_', "-"));
    Arg::new("unset")
        .long("unset")
        .value_name("FIELD")
        .action(ArgAction::Append)
        .value_parser(PossibleValuesParser::new(names))
        .help("As if the field had never been said; may be repeated")
}
