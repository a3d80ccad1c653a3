//! What an operation is: everything that server, command line and document need to know of it.

use crate::{Parameter, Roles, schema::SchemaOf};
use std::fmt;

/// The HTTP methods that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Reads; `HEAD` is answered alike.
    Get,
    /// Adds or acts.
    Post,
    /// Changes some fields (RFC 7396).
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a credential; rate-limited by source address.
    Anyone,
    /// Administrators of these roles.
    Roles(Roles),
}

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing; an empty JSON object does no harm.
    None,
    /// A JSON object.
    Json(SchemaOf),
    /// A merge patch (RFC 7396) of that record, without the fields named: those never change.
    MergePatch(SchemaOf, &'static [&'static str]),
    /// Octets, read while they come; of one of these media types, the first if none is said.
    Stream(&'static [&'static str]),
}

/// What an answer carries.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// A JSON object.
    Json(SchemaOf),
    /// One page of a listing: the rows under this name, and `next`, the cursor of the page after it or null.
    Page(&'static str, SchemaOf),
    /// JSON lines, each of this schema, written while they come.
    Lines(SchemaOf),
    /// Octets of this media type, written while they come.
    Stream(&'static str),
}

/// A good answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// When.
    pub when: &'static str,
    /// What it carries.
    pub content: Content,
    /// It has an `ETag`: the version of the object.
    pub versioned: bool,
}

impl Answer {
    /// 200 with a JSON object.
    pub const fn json(schema: SchemaOf) -> Self {
        Self { status: 200, when: "As it is now.", content: Content::Json(schema), versioned: false }
    }

    /// 200 with one page.
    pub const fn page(name: &'static str, schema: SchemaOf) -> Self {
        Self { status: 200, when: "One page.", content: Content::Page(name, schema), versioned: false }
    }

    /// 201 with a JSON object.
    pub const fn created(schema: SchemaOf) -> Self {
        Self { status: 201, when: "It was added.", content: Content::Json(schema), versioned: false }
    }

    /// 200 where it was there already, the same.
    pub const fn unchanged(schema: SchemaOf) -> Self {
        Self { when: "It was there already, the same.", ..Self::json(schema) }
    }

    /// 204.
    pub const fn done() -> Self {
        Self { status: 204, when: "Done.", content: Content::Empty, versioned: false }
    }

    /// The same with an `ETag`.
    #[must_use]
    pub const fn versioned(self) -> Self {
        Self { versioned: true, ..self }
    }
}

/// The command of `obf` that runs an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CliCommand {
    /// `["device", "suspend"]`; none: it is no command, or one written by hand.
    pub command: &'static [&'static str],
    /// What is said when it is done, behind the object's kind and id: `suspended`. Empty: the answer is shown.
    pub done: &'static str,
    /// Columns of the table that a page is shown as.
    pub columns: &'static [&'static str],
    /// An example of the command.
    pub example: &'static str,
    /// Parameters of the path are flags too, none is positional.
    pub flags: bool,
    /// What a flag is if it is not given.
    pub defaults: &'static [(&'static str, &'static str)],
}

impl CliCommand {
    /// No command.
    pub const NONE: Self =
        Self { command: &[], done: "", columns: &[], example: "", flags: false, defaults: &[] };
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `devices.suspend`: what a server dispatches on, and `operationId` of the document.
    pub id: &'static str,
    /// Method.
    pub method: Method,
    /// `/v1/devices/{device}:suspend`.
    pub path: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// What else is to be known; may be empty.
    pub details: &'static str,
    /// Parameters of the path, in its order.
    pub path_parameters: &'static [Parameter],
    /// Parameters of the query.
    pub query: &'static [Parameter],
    /// What the request carries.
    pub body: Body,
    /// The good answers.
    pub answers: &'static [Answer],
    /// Statuses of the problems of its own; those that any operation may have are added.
    pub problems: &'static [u16],
    /// Who may.
    pub access: Access,
    /// `If-Match` is heeded.
    pub conditional: bool,
    /// The answer tells a secret: it is never kept, so `Idempotency-Key` is not heeded.
    pub secret: bool,
    /// Done once more, it changes nothing and answers as well: `Idempotency-Key` would add nothing and is not heeded.
    pub idempotent: bool,
    /// The command of `obf` that runs it.
    pub cli: CliCommand,
}

impl Operation {
    /// To be filled in: reads, for all roles that read.
    pub const GET: Self = Self {
        id: "",
        method: Method::Get,
        path: "",
        summary: "",
        details: "",
        path_parameters: &[],
        query: &[],
        body: Body::None,
        answers: &[],
        problems: &[],
        access: Access::Roles(Roles::READERS),
        conditional: false,
        secret: false,
        idempotent: false,
        cli: CliCommand::NONE,
    };
    /// To be filled in: adds or acts, for operators.
    pub const POST: Self = Self { method: Method::Post, access: Access::Roles(Roles::OPERATOR), ..Self::GET };
    /// To be filled in: acts on one object, whatever version or one of it, for operators.
    pub const ACT: Self = Self { conditional: true, ..Self::POST };
    /// To be filled in: changes fields, for operators.
    pub const PATCH: Self = Self { method: Method::Patch, problems: &[404], conditional: true, ..Self::POST };
    /// To be filled in: removes, for operators.
    pub const DELETE: Self =
        Self { method: Method::Delete, problems: &[404], answers: &[Answer::done()], ..Self::POST };
    /// To be filled in: removes one object, whatever version or one of it, for operators.
    pub const REMOVE: Self = Self { conditional: true, ..Self::DELETE };

    /// Whether it changes something: then it may carry `Obf-Reason`, and stands in the audit.
    pub const fn changes(&self) -> bool {
        !matches!(self.method, Method::Get)
    }

    /// Whether `Idempotency-Key` is heeded: it changes something, and request and answer are whole.
    pub fn repeatable(&self) -> bool {
        let whole = self
            .answers
            .iter()
            .all(|answer| matches!(answer.content, Content::Empty | Content::Json(_) | Content::Page(..)));
        self.changes() && whole && !self.secret && !self.idempotent && !matches!(self.body, Body::Stream(_))
    }

    /// The media types that a request may have, the first if it says none.
    pub const fn media_types(&self) -> &'static [&'static str] {
        match self.body {
            Body::None | Body::Json(_) => &["application/json"],
            Body::MergePatch(..) => &["application/merge-patch+json", "application/json"],
            Body::Stream(types) => types,
        }
    }
}
