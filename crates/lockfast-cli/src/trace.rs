//! Traces of waits and holds in Chrome's trace format, which Perfetto reads too.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lockfast::command_support::Shown;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::args;
use crate::exit::Exit;
use crate::refused;

/// A trace in progress, or none.
pub(crate) struct Trace(Option<Running>);

struct Running {
    path: PathBuf,
    file: File,
    notes: Arc<Mutex<Notes>>,
    _subscriber: DefaultGuard,
}

/// The error of a trace.
#[derive(Debug)]
pub(crate) struct Failed {
    what: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl Trace {
    /// Begins a trace, if one was requested.
    pub(crate) fn begin(arguments: &args::Run) -> Result<Self, Failed> {
        let Some(path) = &arguments.trace else {
            return Ok(Self(None));
        };
        let file = File::create(path).map_err(failed("cannot create trace", path))?;
        let name: Vec<_> = arguments
            .command
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let notes = Arc::new(Mutex::new(Notes::new(&name.join(" "))));
        let subscriber = Registry::default().with(Notebook(Arc::clone(&notes)));
        Ok(Self(Some(Running {
            path: path.clone(),
            file,
            notes,
            _subscriber: subscriber.set_default(),
        })))
    }

    /// Writes the events to the file.
    pub(crate) fn end(self) -> Result<(), Failed> {
        let Some(Running {
            path, file, notes, ..
        }) = self.0
        else {
            return Ok(());
        };
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.end_all();
        write(&notes.events, file).map_err(failed("cannot write trace", &path))
    }
}

impl Failed {
    /// Returns the exit code for a trace that can't be created.
    pub(crate) fn code(&self) -> Exit {
        if refused::is_exhausted(&self.error) {
            Exit::SYSTEM
        } else {
            Exit::CANNOT_CREATE
        }
    }
}

fn write(events: &[Value], to: impl Write) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    serde_json::to_writer(
        &mut to,
        &json!({ "displayTimeUnit": "ms", "traceEvents": events }),
    )?;
    writeln!(to)?;
    to.flush()
}

/// Collector of the library's events.
struct Notebook(Arc<Mutex<Notes>>);

struct Notes {
    events: Vec<Value>,
    /// Waits and holds in progress, by path.
    waits: BTreeMap<String, Begun>,
    holds: BTreeMap<String, Begun>,
}

struct Begun {
    at: f64,
    details: Value,
}

impl<S: Subscriber> Layer<S> for Notebook {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.note(&fields.0);
    }
}

impl Notes {
    fn new(name: &str) -> Self {
        let event = json!({
            "name": "process_name", "ph": "M", "pid": process::id(), "tid": 0, "args": { "name": name },
        });
        Self {
            events: vec![event],
            waits: BTreeMap::new(),
            holds: BTreeMap::new(),
        }
    }

    fn note(&mut self, fields: &BTreeMap<&'static str, String>) {
        let field = |name| fields.get(name).cloned().unwrap_or_default();
        let path = field("path");
        let begun = |details| Begun {
            at: microseconds(),
            details,
        };
        match &*field("message") {
            "waiting" => {
                let details = json!({ "path": path, "holder": fields.get("holder") });
                self.waits.insert(path, begun(details));
            }
            "acquired" => {
                self.end_wait("wait", &path);
                let details = json!({ "path": path, "mode": field("mode") });
                self.holds.insert(path, begun(details));
            }
            "gave up" => self.end_wait("abandoned wait", &path),
            "released" => {
                if let Some(hold) = self.holds.remove(&path) {
                    self.slice("hold", &hold);
                }
            }
            _ => {}
        }
    }

    fn end_wait(&mut self, what: &str, path: &str) {
        if let Some(wait) = self.waits.remove(path) {
            self.slice(what, &wait);
        }
    }

    /// Ends all waits and holds that are still in progress.
    fn end_all(&mut self) {
        for wait in std::mem::take(&mut self.waits).values() {
            self.slice("wait", wait);
        }
        for hold in std::mem::take(&mut self.holds).values() {
            self.slice("hold", hold);
        }
    }

    fn slice(&mut self, what: &str, begun: &Begun) {
        let path = begun.details["path"].as_str().unwrap_or_default();
        let lock = Path::new(path).file_name().unwrap_or_default();
        self.events.push(json!({
            "name": format!("{what} {}", lock.to_string_lossy()),
            "cat": "lock",
            "ph": "X",
            "ts": begun.at,
            "dur": microseconds() - begun.at,
            "pid": process::id(),
            "tid": 0,
            "args": begun.details,
        }));
    }
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Returns the time since 1970, which traces of several processes share.
fn microseconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1e6
}

fn failed(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Failed {
    let path = path.as_ref().to_path_buf();
    move |error| Failed { what, path, error }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, path, error } = self;
        write!(f, "{what} {}: {error}", Shown::path(path))
    }
}
