//! A client: threads and tasks that take locks until their process is told to stop.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lockfast::HoldState;

use crate::diary::{Diary, PAUSE, PERMITS, Resource, USES};
use crate::dice::Dice;
use crate::fence::Fence;
use crate::place::{Directory, Held, OnEtcd, OnPostgres, Place};

/// Settings that a client is started with.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) url: String,
    pub(crate) diary: PathBuf,
    pub(crate) fence: PathBuf,
    pub(crate) seed: u64,
    pub(crate) threads: u64,
    pub(crate) tasks: u64,
    pub(crate) mutant: Mutant,
}

/// A mistake that the clients make, which the checkers must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// A guard says that it is valid, whatever its lease says.
    IgnoresDeadline,
    /// A writer takes the lock as a reader.
    WritesAsReader,
    /// Tokens begin again and again.
    ResetsTokens,
    /// Each process has locks of its own.
    IsApart,
}

impl Mutant {
    const ALL: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("ignores-deadline", Self::IgnoresDeadline),
        ("writes-as-reader", Self::WritesAsReader),
        ("resets-tokens", Self::ResetsTokens),
        ("is-apart", Self::IsApart),
    ];

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, mutant)| *mutant == self).expect("listed").0
    }

    fn by_name(name: &str) -> Self {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == name).expect("a mutant").1
    }

    /// The token that the client uses.
    pub(crate) fn token(self, token: Option<u64>) -> Option<u64> {
        match self {
            Self::ResetsTokens => token.map(|token| token % 16),
            _ => token,
        }
    }

    /// The state that the client goes by.
    pub(crate) fn state(self, state: HoldState) -> HoldState {
        match self {
            Self::IgnoresDeadline => HoldState::Valid,
            _ => state,
        }
    }

    fn name_of(self, resource: Resource) -> String {
        match self {
            Self::IsApart => format!("{}-{}", resource.name(), std::process::id()),
            _ => resource.name().to_owned(),
        }
    }
}

impl Orders {
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let path = |path: &PathBuf| path.to_str().expect("text").to_owned();
        vec![
            "client".to_owned(),
            self.url.clone(),
            path(&self.diary),
            path(&self.fence),
            self.seed.to_string(),
            self.threads.to_string(),
            self.tasks.to_string(),
            self.mutant.name().to_owned(),
        ]
    }

    fn from_arguments(arguments: &[String]) -> Self {
        let [url, diary, fence, seed, threads, tasks, mutant] = arguments else {
            panic!("seven arguments, not {arguments:?}");
        };
        let number = |text: &String| text.parse().expect("a number");
        Self {
            url: url.clone(),
            diary: diary.into(),
            fence: fence.into(),
            seed: number(seed),
            threads: number(threads),
            tasks: number(tasks),
            mutant: Mutant::by_name(mutant),
        }
    }
}

/// Runs as a client, until its input ends.
pub(crate) fn run(arguments: &[String]) {
    let orders = Orders::from_arguments(arguments);
    match orders.url.split_once("://") {
        Some(("file", directory)) => work(Directory(directory.into()), &orders),
        Some(("etcd", _)) => work(OnEtcd::open(&orders.url), &orders),
        Some(("postgres", _)) => work(OnPostgres::open(&orders.url), &orders),
        _ => panic!("no engine for {}", orders.url),
    }
}

/// Waits longer than any line is, unless it was forgotten.
const LONG: Duration = Duration::from_secs(90);

struct Client<P: Place> {
    place: P,
    mutant: Mutant,
    diary: Diary,
    fence: Fence,
    is_over: AtomicBool,
}

fn work<P: Place>(place: P, orders: &Orders) {
    let client = Arc::new(Client {
        place,
        mutant: orders.mutant,
        diary: Diary::create(&orders.diary, orders.mutant).expect("a diary"),
        fence: Fence::connect(&orders.fence),
        is_over: AtomicBool::new(false),
    });
    let threads = (0..orders.threads).map(|number| {
        let (client, mut dice) = (Arc::clone(&client), Dice::new(orders.seed ^ number));
        thread::spawn(move || client.works_as_thread(&mut dice))
    });
    let threads: Vec<_> = threads.collect();
    let tasks = (0..orders.tasks).map(|number| orders.seed ^ (number + orders.threads));
    let tasks: Vec<_> = tasks.collect();
    let own = Arc::clone(&client);
    let of_tasks = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let set = tokio::task::LocalSet::new();
        for seed in tasks {
            let client = Arc::clone(&own);
            set.spawn_local(async move { client.works_as_task(&mut Dice::new(seed)).await });
        }
        runtime.block_on(set);
    });
    let _ = io::stdin().read_to_end(&mut Vec::new());
    client.is_over.store(true, Ordering::Relaxed);
    for thread in threads.into_iter().chain([of_tasks]) {
        thread.join().expect("no panic");
    }
}

/// A wait for a lock, as the dice have it.
enum Limit {
    None,
    For(Duration),
}

impl Limit {
    fn by(dice: &mut Dice) -> Self {
        match dice.among(0..10) {
            0 | 1 => Self::None,
            2 => Self::For(dice.milliseconds(1..50)),
            _ => Self::For(LONG),
        }
    }
}

/// Takes a lock within a limit, as a thread or as a task.
macro_rules! take {
    ($lock:expr, $limit:expr, $try_take:ident, $try_for:ident) => {
        match $limit {
            Limit::None => $lock.$try_take(),
            Limit::For(time) => $lock.$try_for(time),
        }
    };
}

impl<P: Place> Client<P> {
    fn name(&self, resource: Resource) -> String {
        self.mutant.name_of(resource)
    }

    fn works_as_thread(&self, dice: &mut Dice) {
        let sole = self.place.lock(&self.name(Resource::Sole));
        let many = self.place.rwlock(&self.name(Resource::Many));
        let pool = self.place.semaphore(&self.name(Resource::Pool), PERMITS);
        while !self.is_over.load(Ordering::Relaxed) {
            let limit = Limit::by(dice);
            match dice.among(0..6) {
                0 | 1 => {
                    let attempt = self.diary.attempt(Resource::Sole, "x");
                    let answer = take!(sole, limit, try_lock, try_lock_for);
                    self.uses(dice, attempt.answered(answer), &attempt, true);
                }
                2 if self.mutant == Mutant::WritesAsReader => {
                    let attempt = self.diary.attempt(Resource::Many, "x");
                    let answer = take!(many, limit, try_read, try_read_for);
                    self.uses(dice, attempt.answered(answer), &attempt, true);
                }
                2 => {
                    let attempt = self.diary.attempt(Resource::Many, "x");
                    let answer = take!(many, limit, try_write, try_write_for);
                    self.uses(dice, attempt.answered(answer), &attempt, true);
                }
                3 | 4 => {
                    let attempt = self.diary.attempt(Resource::Many, "s");
                    let answer = take!(many, limit, try_read, try_read_for);
                    self.uses(dice, attempt.answered(answer), &attempt, false);
                }
                _ => {
                    let attempt = self.diary.attempt(Resource::Pool, "1");
                    let answer = take!(pool, limit, try_acquire, try_acquire_for);
                    self.uses(dice, attempt.answered(answer), &attempt, false);
                }
            }
            thread::sleep(PAUSE);
        }
    }

    fn uses(
        &self,
        dice: &mut Dice,
        guard: Option<impl Held>,
        attempt: &crate::diary::Attempt<'_>,
        writes: bool,
    ) {
        let Some(guard) = guard else { return };
        for _ in 0..=dice.among(0..USES) {
            if attempt.uses(&guard, writes.then_some(&self.fence)) != HoldState::Valid {
                break;
            }
            thread::sleep(PAUSE);
        }
        attempt.releases(guard);
    }

    async fn works_as_task(&self, dice: &mut Dice) {
        let sole = self.place.lock(&self.name(Resource::Sole));
        let many = self.place.rwlock(&self.name(Resource::Many));
        while !self.is_over.load(Ordering::Relaxed) {
            let time = match Limit::by(dice) {
                Limit::None => Duration::ZERO,
                Limit::For(time) => time,
            };
            if dice.among(0..2) == 0 {
                let attempt = self.diary.attempt(Resource::Sole, "x");
                let answer = sole.lock_async_for(time).await;
                self.uses_async(dice, attempt.answered(answer), &attempt, true)
                    .await;
            } else {
                let attempt = self.diary.attempt(Resource::Many, "s");
                let answer = many.read_async_for(time).await;
                self.uses_async(dice, attempt.answered(answer), &attempt, false)
                    .await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn uses_async(
        &self,
        dice: &mut Dice,
        guard: Option<impl Held>,
        attempt: &crate::diary::Attempt<'_>,
        writes: bool,
    ) {
        let Some(guard) = guard else { return };
        for _ in 0..=dice.among(0..USES) {
            if attempt.uses(&guard, writes.then_some(&self.fence)) != HoldState::Valid {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        attempt.releases(guard);
    }
}
