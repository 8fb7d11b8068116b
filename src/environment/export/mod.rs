//! `task/export`: writes all tasks that match to a file, as rows of `task/list`.
//!
//! It runs as a job, but it changes nothing on a cluster: no guard asks, and the audit log, which is of
//! changes, does not name it. Rows are formatted a stretch at a time under the state's lock and
//! written outside of it; what is held in memory is one stretch and a bitmap.

mod draft;
mod sheet;

pub use sheet::Format;

use super::act::{Acting, Job, Warning};
use super::{Environment, Environments, Look, Need};
use crate::error::{Error, Result};
use crate::state::{Filter, Sweep};
use draft::Draft;
use schemars::JsonSchema;
use serde::Serialize;
use sheet::Sheet;
use std::num::NonZeroU64;

const METHOD: &str = "task/export";

/// Rows in a stretch, and about how many bytes: others wait for the state's lock no longer than that.
const STRETCH: usize = 100;
const BYTES: usize = 256 << 10;

/// What is written, and to where.
#[derive(Debug)]
pub struct Export {
    /// Which tasks.
    pub filter: Filter,
    /// How they are written.
    pub format: Format,
    /// The file, from the folder that this process runs in.
    pub path: String,
    /// In the place of one that is there.
    pub overwrite: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Exported {
    /// Tasks in the file.
    pub rows: u64,
    /// The file; none where it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Tasks that lack a field which the filter asks for: they are not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<NonZeroU64>,
    /// What could not be looked at in time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
}

impl Environments {
    /// Sets it going.
    pub fn export(
        &self,
        environment: &Environment,
        actor: &str,
        export: Export,
    ) -> Acting<Exported> {
        let job = self.jobs().open(METHOD, environment, actor, None);
        let environment = environment.clone();
        Acting::start(job.clone(), async move { export.carry_out(environment, job).await })
    }
}

impl Export {
    async fn carry_out(self, environment: Environment, job: Job) -> Result<Exported> {
        let Export { filter, format, path, overwrite } = self;
        // A path that is none is said before anybody is asked anything.
        let draft = Draft::begin(&path, overwrite)?;
        let _lease = environment.lease(&[Need::Tasks]);
        let incomplete = environment.fresh(Look::TASKS).await?;
        let sweep = environment.read(|state| state.sweep(filter));
        job.expect(usize::try_from(sweep.left()).unwrap_or(usize::MAX));
        let undecided = NonZeroU64::new(sweep.undecided());
        let sheet = Sheet::new(format).map_err(untold)?;
        let write = move || write(&environment, &job, sweep, sheet, draft);
        let written = tokio::task::spawn_blocking(write).await;
        let written = written.map_err(|panic| Error::Internal(panic.to_string()))??;
        Ok(Exported { undecided, incomplete, ..written })
    }
}

/// Writes the file, unless the job is told to stop: then there is none.
fn write(
    environment: &Environment,
    job: &Job,
    mut sweep: Sweep,
    mut sheet: Sheet,
    mut draft: Draft,
) -> Result<Exported> {
    loop {
        let before = sheet.rows();
        let mut formatted = Ok(());
        let more = environment.read(|state| {
            state.go_on(&mut sweep, |row| {
                formatted = sheet.push(row);
                formatted.is_ok() && sheet.rows() - before < STRETCH && sheet.len() < BYTES
            })
        });
        formatted
            .and_then(|()| sheet.take())
            .map_err(untold)
            .and_then(|rows| draft.write(&rows))?;
        job.did(sheet.rows() - before);
        if job.is_cancelled() {
            return Ok(Exported::default());
        }
        if !more {
            break;
        }
    }
    draft.write(sheet.end())?;
    let (rows, warnings) = (sheet.rows() as u64, sheet.warnings());
    let (path, bytes) = draft.finish()?;
    let path = path.to_string_lossy().into_owned();
    Ok(Exported { rows, path: Some(path), bytes: Some(bytes), warnings, ..Exported::default() })
}

/// Nothing in a row is known that cannot be formatted.
fn untold(error: std::io::Error) -> Error {
    Error::Internal(format!("a row could not be told: {error}"))
}
