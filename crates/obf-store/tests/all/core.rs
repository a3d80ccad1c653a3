//! The core: group commit, isolation of jobs, several openers of one file, clear errors (issue sentence 9).

use obf_store::{Database, OpenError, Options, Schema, StoreError};
use std::path::Path;

const SCHEMA: Schema = Schema {
    application_id: 0x7465_7374,
    migrations: &["CREATE TABLE n (v INTEGER PRIMARY KEY) STRICT", "CREATE TABLE m (v INTEGER) STRICT"],
};

fn open(path: &Path) -> Database {
    Database::open(&Options::new(path), &SCHEMA).unwrap()
}

async fn insert(database: &Database, value: u64) -> Result<(), StoreError> {
    database
        .write(move |c| {
            c.prepare_cached("INSERT INTO n VALUES (?1)")?.execute([value])?;
            Ok(())
        })
        .await
}

async fn count(database: &Database) -> u64 {
    database
        .read(|c| Ok::<_, StoreError>(c.query_row("SELECT count(*) FROM n", [], |r| r.get(0))?))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_share_a_commit_and_all_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir.path().join("db"));
    let jobs: Vec<_> = (0..2000)
        .map(|value| {
            tokio::spawn({
                let database = database.clone();
                async move { insert(&database, value).await }
            })
        })
        .collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    assert_eq!(count(&database).await, 2000);
    let statistics = database.statistics();
    assert_eq!(statistics.jobs, 2000);
    assert!(statistics.commits < 1500, "{statistics:?}");
}

#[tokio::test]
async fn a_failing_job_undoes_itself_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir.path().join("db"));
    let bad = database.write::<(), StoreError>(|c| {
        c.execute("INSERT INTO n VALUES (1)", [])?;
        c.execute("INSERT INTO n VALUES (1)", [])?;
        Ok(())
    });
    let panicking = database.write::<(), StoreError>(|c| {
        c.execute("INSERT INTO n VALUES (3)", [])?;
        panic!("a mistake in a job");
    });
    let (bad, good, panicked) = tokio::join!(bad, insert(&database, 2), panicking);
    assert!(matches!(bad, Err(StoreError::Constraint(_))), "{bad:?}");
    assert_eq!((good, panicked), (Ok(()), Err(StoreError::Closed)));
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_one_file_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let writers = [open(&path), open(&path)];
    let mut done = Vec::new();
    for (index, database) in writers.iter().enumerate() {
        for lane in 0..8u64 {
            let database = database.clone();
            done.push(tokio::spawn(async move {
                for step in 0..50 {
                    insert(&database, (step * 8 + lane) * 2 + index as u64).await.unwrap();
                }
            }));
        }
    }
    for task in done {
        task.await.unwrap();
    }
    assert_eq!(count(&writers[0]).await, 800);
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    insert(&open(&path), 7).await.unwrap();
    assert_eq!(count(&open(&path)).await, 1);
}

#[test]
fn foreign_newer_and_damaged_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(open(&path));
    let other = Schema { application_id: 1, ..SCHEMA };
    assert_eq!(
        Database::open(&Options::new(&path), &other).unwrap_err(),
        OpenError::OtherApplication { found: SCHEMA.application_id, expected: 1 }
    );
    let older = Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA };
    assert_eq!(
        Database::open(&Options::new(&path), &older).unwrap_err(),
        OpenError::NewerSchema { found: 2, known: 1 }
    );
    let damaged = dir.path().join("damaged");
    std::fs::write(&damaged, [0x55; 8192]).unwrap();
    let error = Database::open(&Options::new(&damaged), &SCHEMA).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Corrupt(_))), "{error}");
    let missing = dir.path().join("no-such-directory").join("db");
    let error = Database::open(&Options::new(&missing), &SCHEMA).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::ReadOnly(_))), "{error}");
}

#[tokio::test]
async fn an_older_file_is_migrated_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let older = Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA };
    let database = Database::open(&Options::new(&path), &older).unwrap();
    insert(&database, 7).await.unwrap();
    drop(database);
    let database = open(&path);
    assert_eq!(count(&database).await, 1);
    database.write(|c| Ok::<_, StoreError>(c.execute("INSERT INTO m VALUES (1)", [])?)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir.path().join("db"));
    let limit = |c: &obf_store::rusqlite::Connection| {
        c.pragma_update_and_check(None, "max_page_count", 8, |row| row.get::<_, i64>(0))?;
        Ok::<_, StoreError>(())
    };
    database.write(limit).await.unwrap();
    let fill = database.write::<(), StoreError>(|c| {
        let sql = "WITH RECURSIVE s(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM s LIMIT 100000)
                   INSERT INTO n SELECT v FROM s";
        c.execute(sql, [])?;
        Ok(())
    });
    assert_eq!(fill.await, Err(StoreError::DiskFull));
    assert_eq!(count(&database).await, 0);
    insert(&database, 1).await.unwrap();
}
