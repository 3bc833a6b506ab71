//! The servers of a cluster as one: each request is tried on one after the other until one answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::address::Login;
use crate::failure::{Failure, Remedy};
use crate::proto::{AuthenticateRequest, WatchRequest};
use crate::stop::Stop;
use crate::transport::{Answer, Ask, Request, Transport, WatchAnswers};

/// The limit of the first attempt on each server; it doubles with each round over all servers.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
const LONGEST_ATTEMPT: Duration = Duration::from_secs(4);
/// The pause after a round in which no server answered; it doubles too.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
const MOST_LOGINS: u32 = 3;

/// The servers of a cluster, of which one is used as long as it answers.
pub(crate) struct Servers {
    transport: Arc<dyn Transport>,
    /// The server that is asked first. Those who watch move with it.
    preferred: watch::Sender<usize>,
    login: Option<Login>,
    /// The token of the last login. Those who watch move with it.
    token: watch::Sender<Token>,
    logging_in: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preferred = *self.preferred.borrow();
        f.debug_struct("Servers")
            .field("preferred", &preferred)
            .finish_non_exhaustive()
    }
}

type Token = Option<Arc<str>>;

/// The server and the login that a stream was opened with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    server: usize,
    token: Token,
}

/// The number of attempts of a request, which may all have been carried out.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Whether an attempt has no answer, so that nobody knows whether it was carried out.
    pub(crate) any_unknown: bool,
}

impl Servers {
    pub(crate) fn new(transport: Arc<dyn Transport>, login: Option<Login>) -> Self {
        Self {
            transport,
            preferred: watch::Sender::new(0),
            login,
            token: watch::Sender::new(None),
            logging_in: tokio::sync::Mutex::default(),
        }
    }

    /// The number of servers.
    pub(crate) fn count(&self) -> usize {
        self.transport.servers()
    }

    /// Sends a request until a server answers, or the wait is over. An attempt that has begun is never given up
    /// before its own limit: a request in flight could be carried out after a later one.
    pub(crate) async fn ask<R: Ask>(&self, request: R, stop: &Stop) -> Result<R::Answer, Failure> {
        self.ask_counting(request, stop, &mut Attempts::default())
            .await
    }

    pub(crate) async fn ask_counting<R: Ask>(
        &self,
        request: R,
        stop: &Stop,
        attempts: &mut Attempts,
    ) -> Result<R::Answer, Failure> {
        let request = request.into();
        let (mut attempt, mut pause) = (FIRST_ATTEMPT, FIRST_PAUSE);
        let mut logins = 0;
        let mut failed = 0;
        loop {
            let status = match self.attempt(request.clone(), attempt).await {
                Ok(answer) => return R::Answer::try_from(answer).map_err(Failure::Refused),
                Err(status) => status,
            };
            match Remedy::of(&status) {
                Remedy::None => return Err(Failure::Refused(status)),
                Remedy::Login if self.login.is_none() || logins == MOST_LOGINS => {
                    return Err(Failure::Refused(status));
                }
                Remedy::Login => {
                    logins += 1;
                    continue;
                }
                Remedy::NextServer => attempts.any_unknown = true,
            }
            if stop.is_over() {
                return Err(Failure::Unreachable(shown(&status)));
            }
            failed += 1;
            if failed % self.count() == 0 {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.over() => return Err(Failure::Unreachable(shown(&status))),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                attempt = (attempt * 2).min(LONGEST_ATTEMPT);
            }
        }
    }

    /// Sends a request once, to the preferred server. After a failure, another is preferred, or the next attempt
    /// logs in.
    pub(crate) async fn attempt(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<Answer, Status> {
        let server = *self.preferred.borrow();
        let mut used = None;
        let answer = timeout(limit, async {
            let token = self.token(server).await?;
            used.clone_from(&token);
            self.transport.call(server, request, token.as_deref()).await
        })
        .await
        .unwrap_or_else(|_| Err(late(limit)));
        match answer.as_ref().map_err(Remedy::of) {
            Err(Remedy::NextServer) => self.leave(server),
            Err(Remedy::Login) => self.forget(&used),
            _ => {}
        }
        answer
    }

    /// Sends a request to that server, once.
    pub(crate) async fn ask_one<R: Ask>(
        &self,
        server: usize,
        request: R,
        limit: Duration,
    ) -> Result<R::Answer, Status> {
        let answer = timeout(limit, async {
            let token = self.token(server).await?;
            let answer = self
                .transport
                .call(server, request.into(), token.as_deref());
            R::Answer::try_from(answer.await?)
        });
        answer.await.unwrap_or_else(|_| Err(late(limit)))
    }

    /// Opens a stream of watches on the preferred server.
    pub(crate) async fn watch(
        &self,
        requests: mpsc::UnboundedReceiver<WatchRequest>,
    ) -> (Origin, Result<WatchAnswers, Status>) {
        let server = *self.preferred.borrow();
        let mut origin = Origin {
            server,
            token: None,
        };
        let answers = timeout(FIRST_ATTEMPT, async {
            origin.token = self.token(server).await?;
            let token = origin.token.as_deref();
            self.transport.watch(server, requests, token).await
        })
        .await
        .unwrap_or_else(|_| Err(late(FIRST_ATTEMPT)));
        if let Err(status) = &answers {
            self.failed(&origin, status);
        }
        (origin, answers)
    }

    /// Draws the consequence of a failed stream.
    pub(crate) fn failed(&self, origin: &Origin, status: &Status) {
        match Remedy::of(status) {
            Remedy::Login => self.forget(&origin.token),
            Remedy::NextServer | Remedy::None => self.leave(origin.server),
        }
    }

    /// Completes when another server is preferred, or there was another login: a stream keeps the one that it began
    /// with, and its server refuses new watches when that has ended.
    pub(crate) async fn left(&self, origin: &Origin) {
        let mut preferred = self.preferred.subscribe();
        let mut token = self.token.subscribe();
        let is_other = |token: &Token| token.is_some() && *token != origin.token;
        // The senders are in `self`.
        tokio::select! {
            _ = preferred.wait_for(|preferred| *preferred != origin.server) => {}
            _ = token.wait_for(is_other) => {}
        }
    }

    /// Prefers the next server, unless another request has done so already.
    fn leave(&self, server: usize) {
        let count = self.count();
        self.preferred.send_if_modified(|preferred| {
            let is_ours = *preferred == server && count > 1;
            if is_ours {
                *preferred = (server + 1) % count;
            }
            is_ours
        });
    }

    /// The token of the login, after logging in if there is none.
    async fn token(&self, server: usize) -> Result<Token, Status> {
        let Some(login) = &self.login else {
            return Ok(None);
        };
        if let Some(token) = self.known_token() {
            return Ok(Some(token));
        }
        let _one_at_a_time = self.logging_in.lock().await;
        if let Some(token) = self.known_token() {
            return Ok(Some(token));
        }
        let request = AuthenticateRequest {
            name: login.user.clone(),
            password: login.password.expose().to_owned(),
        };
        let answer = self
            .transport
            .call(server, Request::Authenticate(request), None);
        let token: Arc<str> = match answer.await {
            Ok(Answer::Authenticate(answer)) => answer.token.into(),
            Ok(_) => return Err(Status::internal("the answer belongs to another request")),
            // A cluster that asks nobody for a password lets everyone in.
            Err(status) if is_without_auth(&status) => return Ok(None),
            Err(status) => return Err(status),
        };
        self.token.send_replace(Some(token.clone()));
        Ok(Some(token))
    }

    fn known_token(&self) -> Token {
        self.token.borrow().clone()
    }

    /// Forgets a token that a server refused, unless there is another one by now.
    fn forget(&self, refused: &Token) {
        self.token.send_if_modified(|token| {
            let is_it = token == refused;
            if is_it {
                *token = None;
            }
            is_it
        });
    }
}

fn is_without_auth(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("not enabled")
}

fn late(limit: Duration) -> Status {
    Status::deadline_exceeded(format!("no answer within {limit:?}"))
}

/// The text of a status, with the cause of a failed connect.
fn shown(status: &Status) -> String {
    crate::transport::grpc::causes(status)
        .trim_start_matches("status: ")
        .to_owned()
}
