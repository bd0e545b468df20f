//! The report of `doctor`: each check and its result. Takes checks as facts with what to do about them, gives
//! a model.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Report;

/// `doctor`: whether the site is ready, as far as it can be seen from here.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The checks, in the order in which they depend on each other: the first that failed is the one to
    /// look at first.
    pub checks: Vec<DoctorCheck>,
    /// How many checks passed.
    pub passed: usize,
    /// How many passed with a warning.
    pub warnings: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were not run.
    pub not_run: usize,
}

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DoctorCheck {
    /// The stable name of the check: name, connection, certificate, clock, registry, version, health, account,
    /// projects, storage, request-size, request-time, bundle, space, secret-file, trust, cluster, pull-secret,
    /// pod-name, node, node-name. New ones may be added.
    pub check: String,
    /// The subject of the check: a host, a file, a secret.
    pub about: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// The result, the fault, or the reason why it was not run.
    pub message: String,
    /// The identifier of the error, for a warning and a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The remedy. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// It is as it should be.
    Ok,
    /// It works, with a warning.
    Warning,
    /// It does not work.
    Failed,
    /// It was not run, for the reason that is given.
    NotRun,
}

impl CheckOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

impl DoctorReport {
    /// The report of these checks.
    pub fn new(checks: Vec<DoctorCheck>) -> Self {
        let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
        Self {
            passed: count(CheckOutcome::Ok),
            warnings: count(CheckOutcome::Warning),
            failed: count(CheckOutcome::Failed),
            not_run: count(CheckOutcome::NotRun),
            checks,
        }
    }
}

impl Report for DoctorReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for DoctorCheck { check, about, outcome, message, advice, .. } in &self.checks {
            text.push_str(&format!("{:<8} {check:<12} {about}: {message}\n", outcome.as_str()));
            for line in advice.iter().flat_map(|advice| advice.lines()) {
                text.push_str(&format!("{:<21} do: {line}\n", ""));
            }
        }
        text.push_str(&format!(
            "{} ok, {} with a warning, {} failed, {} not run\n",
            self.passed, self.warnings, self.failed, self.not_run
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_failed_says_what_to_do() {
        let check = |outcome, advice: Option<&str>| DoctorCheck {
            check: "clock".to_owned(),
            about: "harbor.example".to_owned(),
            outcome,
            message: "said".to_owned(),
            id: None,
            advice: advice.map(str::to_owned),
        };
        let checks = vec![
            check(CheckOutcome::Ok, None),
            check(CheckOutcome::Failed, Some("one\ntwo")),
            check(CheckOutcome::NotRun, None),
        ];
        assert_eq!(
            DoctorReport::new(checks).text(),
            "ok       clock        harbor.example: said\n\
             failed   clock        harbor.example: said\n\
             \x20                     do: one\n\
             \x20                     do: two\n\
             not run  clock        harbor.example: said\n\
             1 ok, 0 with a warning, 1 failed, 1 not run\n"
        );
    }
}
