//! The benchmark's side: starts workers, tells them what to do, and waits for what they say.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::contenders::Contender;
use crate::worker;

/// How long any word from a worker may take before the benchmark has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes that use one lock as they are told (see `worker`).
#[derive(Debug)]
pub(crate) struct Crew {
    contender: Contender,
    members: Vec<Member>,
    heard: Receiver<Heard>,
}

/// Killed when dropped.
#[derive(Debug)]
struct Member {
    process: Child,
    orders: ChildStdin,
}

/// Which member, and its line; none when it has ended.
type Heard = (usize, Option<String>);

impl Crew {
    /// Starts so many and waits until each has opened the lock at that path.
    pub(crate) fn start(
        count: usize,
        contender: Contender,
        path: &Path,
        python: Option<&Path>,
    ) -> Outcome<Self> {
        Self::start_with(count, contender, path, || command(contender, python))
    }

    /// As [`start`](Self::start), with another build of this benchmark.
    pub(crate) fn start_by(
        program: &Path,
        count: usize,
        contender: Contender,
        path: &Path,
    ) -> Outcome<Self> {
        Self::start_with(count, contender, path, || Ok(worker(program, contender)))
    }

    fn start_with(
        count: usize,
        contender: Contender,
        path: &Path,
        command: impl Fn() -> Outcome<Command>,
    ) -> Outcome<Self> {
        let (sender, heard) = mpsc::channel();
        let members = (0..count)
            .map(|member| {
                let mut command = command()?;
                Member::start(command.arg(path), member, sender.clone())
            })
            .collect::<Outcome<_>>()?;
        let crew = Self {
            contender,
            members,
            heard,
        };
        crew.expect_all("ready")?;
        Ok(crew)
    }

    /// Has the sleeps of all last as long as asked for.
    pub(crate) fn exact(&mut self) -> Outcome<()> {
        self.tell_all("slack")?;
        self.expect_all("exact")
    }

    /// How many of them may have the lock at once.
    pub(crate) fn permits(&self) -> usize {
        usize::try_from(self.contender.permits()).expect("a few")
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        let pid = |member: &Member| member.process.id();
        self.members.iter().map(pid).collect()
    }

    /// Tells one of them to do something.
    pub(crate) fn tell(&mut self, member: usize, order: &str) -> Outcome<()> {
        let orders = &mut self.members[member].orders;
        writeln!(orders, "{order}")?;
        Ok(orders.flush()?)
    }

    /// Tells each of them to do something and waits for all answers, which are in their order.
    pub(crate) fn ask_all<T>(&mut self, order: &str) -> Outcome<Vec<T>>
    where
        T: FromStr<Err: Display>,
    {
        self.tell_all(order)?;
        self.answers()
    }

    /// Waits for the answers of all, which are in their order.
    pub(crate) fn answers<T>(&self) -> Outcome<Vec<T>>
    where
        T: FromStr<Err: Display>,
    {
        let mut answers = self.collect()?;
        answers.sort_by_key(|(member, _)| *member);
        let parse = |(_, answer): (_, String)| self.parse(&answer);
        answers.into_iter().map(parse).collect()
    }

    /// Tells each of them to do something.
    pub(crate) fn tell_all(&mut self, order: &str) -> Outcome<()> {
        (0..self.members.len()).try_for_each(|member| self.tell(member, order))
    }

    /// Waits until each of them has said exactly that.
    pub(crate) fn expect_all(&self, expected: &str) -> Outcome<()> {
        match self
            .collect()?
            .into_iter()
            .find(|(_, said)| said != expected)
        {
            None => Ok(()),
            Some((_, said)) => self.wrong(&said, &format!("{expected:?} was expected")),
        }
    }

    /// Waits for the next thing that one of them says.
    pub(crate) fn hear(&self) -> Outcome<(usize, String)> {
        let contender = self.contender;
        match self.heard.recv_timeout(PATIENCE) {
            Ok((member, Some(said))) => Ok((member, said)),
            Ok((_, None)) => Err(format!("a worker of {contender} has ended").into()),
            Err(error) => Err(format!("no worker of {contender} says anything: {error}").into()),
        }
    }

    /// Parses a line of a worker.
    pub(crate) fn parse<T>(&self, said: &str) -> Outcome<T>
    where
        T: FromStr<Err: Display>,
    {
        said.parse()
            .or_else(|error: T::Err| self.wrong(said, &error.to_string()))
    }

    /// Waits for one line from each.
    fn collect(&self) -> Outcome<Vec<(usize, String)>> {
        self.members.iter().map(|_| self.hear()).collect()
    }

    fn wrong<T>(&self, said: &str, why: &str) -> Outcome<T> {
        let contender = self.contender;
        Err(format!("a worker of {contender} said {said:?}: {why}").into())
    }
}

impl Member {
    fn start(command: &mut Command, number: usize, to: Sender<Heard>) -> Outcome<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().expect("piped");
        let from = process.stdout.take().expect("piped");
        let listen = move || {
            let lines = BufReader::new(from).lines().map_while(Result::ok);
            for said in lines.map(Some).chain([None]) {
                if to.send((number, said)).is_err() {
                    return;
                }
            }
        };
        let member = Self { process, orders };
        thread::Builder::new().spawn(listen)?;
        Ok(member)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn worker(program: &Path, contender: Contender) -> Command {
    let mut worker = Command::new(program);
    worker.args([worker::ARGUMENT, contender.name()]);
    worker
}

fn command(contender: Contender, python: Option<&Path>) -> Outcome<Command> {
    let Some(script) = contender.script() else {
        return Ok(worker(&std::env::current_exe()?, contender));
    };
    let python = python.ok_or_else(|| format!("{contender} needs --python"))?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/python");
    let mut interpreter = Command::new(python);
    // Without writing byte code beside the scripts.
    interpreter.arg("-B").arg(scripts.join(script));
    Ok(interpreter)
}
