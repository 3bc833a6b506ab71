//! `lockfast doctor --on`: tries what a space needs of its server.

use lockfast_space::{Check, Verdict};
use serde::Serialize;

use super::open;
use crate::exit::{Exit, put};

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    space: &'a str,
    checks: Vec<Finding<'a>>,
}

#[derive(Debug, Serialize)]
struct Finding<'a> {
    name: &'a str,
    verdict: &'static str,
    text: &'a str,
}

pub(crate) fn diagnose(url: &str, as_json: bool) -> Exit {
    let space = match open(url) {
        Ok(space) => space,
        Err(exit) => return exit,
    };
    let checks = space.diagnose();
    if as_json {
        let document = Document {
            schema: 1,
            space: space.url(),
            checks: checks.iter().map(Finding::from).collect(),
        };
        put(serde_json::to_string(&document).expect("all of it can be written"));
    } else {
        put(space.url());
        for check in &checks {
            put(format_args!(
                "  {:4}  {}: {}",
                word(check),
                check.name,
                check.text
            ));
        }
    }
    if checks.iter().any(|check| check.verdict == Verdict::Fail) {
        Exit::code(1)
    } else {
        Exit::SUCCESS
    }
}

impl<'a> From<&'a Check> for Finding<'a> {
    fn from(check: &'a Check) -> Self {
        Self {
            name: check.name,
            verdict: word(check),
            text: &check.text,
        }
    }
}

fn word(check: &Check) -> &'static str {
    match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    }
}
