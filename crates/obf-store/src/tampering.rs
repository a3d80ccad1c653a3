//! What somebody with access to an Authentication Server's disk could do, for the story that shows that it is noticed.

use rusqlite::Connection;
use std::path::Path;

/// Wipes what an Authentication Server remembers of used challenges, its tokens with it. Nobody may have the database
/// open.
///
/// # Errors
/// SQLite's.
pub fn forget_challenges(database: &Path) -> rusqlite::Result<()> {
    Connection::open(database)?.execute_batch("DELETE FROM spent; DELETE FROM fetched; DELETE FROM tokens;")
}
