//! A process of the mixture: threads and tasks that take one lock in every way.

use std::thread;

use lockfast::{CancelToken, ReentrantLock};
use smol::future;

use super::board::{Board, Doing};
use super::visitor::{Outcome, Random, Visitor, text};
use super::ways::{Held, Limit, Primitive, Role};
use super::{THREADS, WORKERS};
use lockfast_testing::Speaker;

/// `mixture KIND PATH LIMIT PROCESS SEED OPTIONS...`: runs until the board says that it is over.
pub(crate) fn run(words: &[&str], to: &Speaker) -> Result<String, Box<dyn std::error::Error>> {
    let [kind, path, limit, process, seed, ref options @ ..] = *words else {
        return Err("mixture KIND PATH LIMIT PROCESS SEED OPTIONS...".into());
    };
    let (limit, process) = (limit.parse()?, process.parse::<usize>()?);
    let seed: u64 = seed.parse()?;
    let board = Board::beside(path.as_ref(), limit);
    // Clones of one handle and a handle of its own meet in each process.
    let open = || Primitive::open(kind, path, limit, options, to);
    let (shared, own) = (open()?, open()?);
    let worker = |number: usize| {
        let visitor = |number: usize| {
            let slot = board.slot(2 * WORKERS * process + number);
            slot.claim();
            Visitor::new(board, slot, limit, seed * 1000 + number as u64)
        };
        Worker {
            primitive: if number % 4 == 3 { &own } else { &shared }.clone(),
            visitor: visitor(2 * number),
            companion: visitor(2 * number + 1),
        }
    };
    let tasks: Vec<_> = match shared {
        Primitive::Reentrant(_) => Vec::new(),
        _ => (THREADS..WORKERS).map(worker).collect(),
    };
    let failed = thread::scope(|scope| {
        let threads = (0..THREADS).map(worker);
        let mut running: Vec<_> = threads
            .map(|mut worker| scope.spawn(move || worker.work().inspect_err(|_| board.stop())))
            .collect();
        running.push(scope.spawn(move || all(tasks).inspect_err(|_| board.stop())));
        let outcome = |thread: thread::ScopedJoinHandle<'_, Outcome>| {
            thread.join().expect("no worker panics").err()
        };
        running.into_iter().find_map(outcome)
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(String::new()),
    }
}

/// Runs them as tasks of one thread.
fn all(workers: Vec<Worker>) -> Outcome {
    let executor = smol::LocalExecutor::new();
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|mut worker| executor.spawn(async move { worker.work_async().await }))
        .collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await?;
        }
        Ok(())
    }))
}

/// A thread or a task that takes the lock again and again.
struct Worker {
    primitive: Primitive,
    visitor: Visitor,
    /// For a guard that was sent to another thread.
    companion: Visitor,
}

impl Worker {
    fn work(&mut self) -> Outcome {
        while !self.visitor.is_over() {
            if let Primitive::Reentrant(lock) = &self.primitive {
                let lock = lock.clone();
                self.take_twice(&lock)?;
            } else if let Some(held) = self.take()? {
                match self.visitor.random.below(8) {
                    0 => self.send(held)?,
                    _ => self.visitor.visit(held)?,
                }
            }
            self.visitor.end_round();
            self.visitor.random.pause();
        }
        Ok(())
    }

    async fn work_async(&mut self) -> Outcome {
        while !self.visitor.is_over() {
            if let Some(held) = self.take_async().await? {
                self.visitor.enter(&held)?;
                future::yield_now().await;
                self.visitor.stay_as_task(held).await?;
            }
            self.visitor.end_round();
            if self.visitor.random.below(8) == 0 {
                smol::Timer::after(self.visitor.random.moment()).await;
            } else {
                future::yield_now().await;
            }
        }
        Ok(())
    }

    fn role(&mut self) -> Role {
        let chance = self.visitor.random.below(8);
        match &self.primitive {
            Primitive::RwLock(_, has_upgrades) => match chance {
                0..4 => Role::Reader,
                4 | 5 if *has_upgrades => Role::Upgradable,
                _ => Role::Alone,
            },
            Primitive::Semaphore(_) => Role::Permits(1 + u32::from(chance == 0)),
            Primitive::Lock(_) | Primitive::Reentrant(_) => Role::Alone,
        }
    }

    /// Takes the lock as a thread, in a way that chance chooses.
    fn take(&mut self) -> Outcome<Option<Held>> {
        let role = self.role();
        let soon = self.visitor.random.moment();
        let slot = self.visitor.slot;
        let taken = match self.visitor.random.below(8) {
            0 => {
                slot.shows(Doing::Trying);
                self.primitive.take(role, Limit::Zero)
            }
            1 | 2 => {
                slot.shows(Doing::WaitingWithLimit);
                self.primitive.take(role, Limit::For(soon))
            }
            3 => {
                slot.shows(Doing::WaitingToBeCancelled);
                let token = CancelToken::new();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(soon);
                        token.cancel();
                    });
                    token.run(|| self.primitive.take(role, Limit::None))
                })
            }
            _ => {
                slot.shows(Doing::Waiting);
                self.primitive.take(role, Limit::None)
            }
        };
        unless_given_up(taken)
    }

    /// Takes the lock as a task; some drop the wait.
    async fn take_async(&mut self) -> Outcome<Option<Held>> {
        let role = self.role();
        let soon = self.visitor.random.moment();
        let slot = self.visitor.slot;
        let waiting = self.primitive.take_async(role);
        let taken = match self.visitor.random.below(4) {
            0 => {
                slot.shows(Doing::AwaitingToBeDropped);
                let gives_up = async {
                    smol::Timer::after(soon).await;
                    None
                };
                future::or(async { Some(waiting.await) }, gives_up).await
            }
            1 => {
                slot.shows(Doing::AwaitingToBeDropped);
                future::poll_once(waiting).await
            }
            _ => {
                slot.shows(Doing::Awaiting);
                Some(waiting.await)
            }
        };
        taken.map_or(Ok(None), unless_given_up)
    }

    fn take_twice(&mut self, lock: &ReentrantLock) -> Outcome {
        let slot = self.visitor.slot;
        slot.shows(Doing::Waiting);
        let soon = self.visitor.random.moment();
        let first = match self.visitor.random.below(3) {
            0 => lock.try_lock(),
            1 => lock.try_lock_for(soon),
            _ => lock.lock(),
        };
        let Some(first) = unless_given_up(first)? else {
            return Ok(());
        };
        let second = lock.lock().map_err(text)?;
        self.visitor.enter_alone()?;
        first.release().map_err(text)?;
        slot.leave()?;
        slot.shows(Doing::Releasing);
        second.release().map_err(text)
    }

    /// Sends the guard to another thread, which visits by it, while this one takes the lock again.
    fn send(&mut self, mut held: Held) -> Outcome {
        // A thread that still counts as the owner of a guard may not wait for that guard to end.
        let is_handed_over = self.visitor.random.below(2) == 0;
        if is_handed_over {
            held.hand_over();
        }
        let mut companion = self.companion;
        let other = thread::spawn(move || companion.visit(held));
        let role = self.role();
        let soon = Limit::For(self.visitor.random.moment());
        self.visitor.slot.shows(Doing::WaitingWithLimit);
        if let Some(held) = unless_given_up(self.primitive.take(role, soon))? {
            self.visitor.enter(&held)?;
            if is_handed_over {
                self.visitor.stay(held)?;
            } else {
                self.visitor.leave(held)?;
            }
        }
        self.companion.random = Random::new(self.visitor.random.below(u64::MAX));
        other.join().expect("no worker panics")
    }
}

/// Returns nothing for a wait that ended as it may.
fn unless_given_up<T>(taken: lockfast::Result<T>) -> Outcome<Option<T>> {
    match taken {
        Ok(held) => Ok(Some(held)),
        Err(error) if error.is_contended() || error.is_timed_out() || error.is_cancelled() => {
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}
