//! From the command line to the report: plays a scenario, tells what came of it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::Failure;
use crate::fleet::coordinator;
use crate::live::Live;
use crate::plan::Plan;
use crate::report::{self, About, Report};
use crate::scenario::options::Common;
use crate::scenario::{show, slow, storm, viewers};

/// The scenarios that play a plan.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    Viewers(viewers::Options),
    Storm(storm::Options),
    Slow(slow::Options),
    Show(show::Options),
}

impl Scenario {
    fn name(&self) -> &'static str {
        match self {
            Self::Viewers(_) => "viewers",
            Self::Storm(_) => "storm",
            Self::Slow(_) => "slow",
            Self::Show(_) => "show",
        }
    }

    fn common(&self) -> &Common {
        match self {
            Self::Viewers(options) => &options.common,
            Self::Storm(options) => &options.common,
            Self::Slow(options) => &options.common,
            Self::Show(options) => &options.common,
        }
    }

    fn plan(&self, seed: u64) -> anyhow::Result<Plan> {
        match self {
            Self::Viewers(options) => viewers::plan(options, seed),
            Self::Storm(options) => storm::plan(options, seed),
            Self::Slow(options) => slow::plan(options, seed),
            Self::Show(options) => show::plan(options, seed),
        }
    }
}

/// Add up reports of several machines
#[derive(Debug, Args)]
pub(crate) struct MergeOptions {
    /// Reports that were written with --json
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Where a report goes beside the terminal; opened before the run, so that a wrong path costs
/// nothing.
pub(crate) struct Files {
    json: Option<File>,
    html: Option<File>,
}

/// Plays a scenario; ends with the exit code.
///
/// # Errors
/// [`Failure`].
pub(crate) fn scenario(scenario: &Scenario) -> Result<u8, Failure> {
    let common = scenario.common();
    let seed = common.seed();
    let plan = scenario.plan(seed).map_err(Failure::Usage)?;
    let files = Files::open(common.json.as_deref(), common.html.as_deref())?;
    let about = About {
        scenario: scenario.name(),
        seed,
        groups: plan.groups.clone(),
        phases: plan.phases.iter().map(|phase| phase.name.clone()).collect(),
        lag_max_ms: common.lag_max_ms,
    };
    let mut live = Live::new(&plan);
    let run = coordinator::play(plan, &common.lead(), None, |stage| live.show(stage));
    drop(live);
    let run = run.map_err(Failure::Run)?;
    files.tell(&Report::new(about, run))
}

/// Adds up reports; ends with the exit code of the sum.
///
/// # Errors
/// [`Failure`].
pub(crate) fn merge(options: &MergeOptions) -> Result<u8, Failure> {
    let reports = options.files.iter().map(|file| Report::open(file));
    let reports = reports.collect::<anyhow::Result<Vec<_>>>().map_err(Failure::Usage)?;
    let files = Files::open(options.json.as_deref(), options.html.as_deref())?;
    files.tell(&report::merge(reports).map_err(Failure::Usage)?)
}

impl Files {
    /// Opens them.
    ///
    /// # Errors
    /// [`Failure::Usage`]: one of them cannot be written.
    pub(crate) fn open(json: Option<&Path>, html: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { json: create(json)?, html: create(html)? })
    }

    /// Tells a report everywhere; ends with its exit code.
    ///
    /// # Errors
    /// [`Failure::Run`]: a file cannot be written.
    pub(crate) fn tell(self, report: &Report) -> Result<u8, Failure> {
        // A reader that has seen enough and closed the pipe is no failure.
        let _ = write!(std::io::stdout(), "{report}");
        if let Some(mut file) = self.json {
            let written = serde_json::to_writer(&file, report).map_err(anyhow::Error::from);
            let written = written.and_then(|()| Ok(file.write_all(b"\n")?));
            written.context("cannot write the JSON report").map_err(Failure::Run)?;
        }
        if let Some(mut file) = self.html {
            let written = file.write_all(report.html().as_bytes());
            written.context("cannot write the page").map_err(Failure::Run)?;
        }
        Ok(report.exit_code())
    }
}

fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()));
    file.map(Some).map_err(Failure::Usage)
}
