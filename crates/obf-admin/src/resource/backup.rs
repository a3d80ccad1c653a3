//! Backup and restore of everything that a Resource Server keeps.

use crate::{Access, Answer, Body, Content, Operation, Roles, schema::of};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type of a backup.
pub const MEDIA_TYPE: &str = "application/octet-stream";

/// A backup that was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Restored {
    /// Rows that it had.
    pub rows: u64,
}

/// What can be done.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "backup.make",
        path: "/v1/backup",
        summary: "Everything that is kept, as it is at this moment, encrypted",
        details: "It opens only where the key-encryption key is the same. Subscriber keys in it are wrapped as they are \
                  in the database. A backup that broke off lacks its end, and is not restored.",
        answers: &[Answer {
            status: 200,
            when: "The backup, written while it is read from the database.",
            content: Content::Stream(MEDIA_TYPE),
            versioned: false,
        }],
        access: Access::Roles(Roles::OPERATOR),
        ..Operation::GET
    },
    Operation {
        id: "backup.restore",
        path: "/v1/restore",
        summary: "Put a backup into an empty database, all of it or nothing",
        details: "Sequence numbers and epochs jump: no vector is given twice, and tokens from before are ended when the \
                  devices authenticate next. The audit goes on behind that of the backup.",
        body: Body::Stream(&[MEDIA_TYPE]),
        answers: &[Answer::json(of::<Restored>())],
        problems: &[409, 422],
        ..Operation::POST
    },
];
