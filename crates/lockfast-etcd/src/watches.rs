//! The stream of watches that all waiters and holders of a client share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic::Status;

use crate::proto::{
    EventType, WatchCancelRequest, WatchCreateRequest, WatchFilter, WatchKind, WatchRequest,
    WatchResponse,
};
use crate::servers::{Origin, Servers};
use crate::transport::WatchAnswers;

/// The pause before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// News about a watched range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A key was deleted.
    Deleted,
    /// A key was written.
    Written,
    /// The server can't tell what happened. Read the keys.
    Unknown,
}

/// The watches of a client.
#[derive(Debug)]
pub(crate) struct Watches {
    commands: UnboundedSender<Command>,
    last: AtomicI64,
}

#[derive(Debug)]
enum Command {
    Begin(i64, Wanted),
    End(i64),
}

/// A watch, as it is asked of each server that the stream moves to.
#[derive(Debug)]
struct Wanted {
    create: WatchCreateRequest,
    news: UnboundedSender<News>,
    /// A server that was restored from a copy has not deleted the key, and never says that it is not there.
    is_of_holder: bool,
}

/// A range that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    id: i64,
    news: UnboundedReceiver<News>,
    commands: UnboundedSender<Command>,
}

impl Watches {
    /// Starts the task that has the stream, on the runtime of the caller. The stream is opened for the first watch.
    pub(crate) fn start(servers: Arc<Servers>) -> Self {
        let (commands, received) = unbounded_channel();
        tokio::spawn(run(servers, received));
        Self {
            commands,
            last: AtomicI64::new(0),
        }
    }

    /// Watches the deletion of a key, from that revision on.
    pub(crate) fn deletion(&self, key: &[u8], revision: i64) -> Watch {
        self.begin(deletion(key, revision), false)
    }

    /// Watches the deletion of a key that is held. Its news are unknown when the stream was opened again, too.
    pub(crate) fn held(&self, key: &[u8], revision: i64) -> Watch {
        self.begin(deletion(key, revision), true)
    }

    /// Watches all keys of a range, from that revision on.
    pub(crate) fn range(&self, range: &crate::keys::Range, revision: i64) -> Watch {
        let create = WatchCreateRequest {
            key: range.start.clone(),
            range_end: range.end.clone(),
            start_revision: revision,
            ..WatchCreateRequest::default()
        };
        self.begin(create, false)
    }

    fn begin(&self, mut create: WatchCreateRequest, is_of_holder: bool) -> Watch {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        create.watch_id = id;
        let (sender, news) = unbounded_channel();
        let wanted = Wanted {
            create,
            news: sender,
            is_of_holder,
        };
        // The task ends with its runtime, and with that the program.
        let _ = self.commands.send(Command::Begin(id, wanted));
        Watch {
            id,
            news,
            commands: self.commands.clone(),
        }
    }
}

impl Watch {
    /// Waits for news.
    pub(crate) async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            // The server has ended the watch and said so before. It is not asked again at once.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::End(self.id));
    }
}

/// Keeps the stream, for as long as there are watches.
async fn run(servers: Arc<Servers>, mut commands: UnboundedReceiver<Command>) {
    let mut wanted: HashMap<i64, Wanted> = HashMap::new();
    let mut has_failed = false;
    loop {
        while wanted.is_empty() {
            let Some(command) = commands.recv().await else {
                return;
            };
            apply(command, &mut wanted);
        }
        let (sender, requests) = unbounded_channel();
        // Before the stream is opened: some servers answer only once there is a request.
        for each in wanted.values() {
            let _ = sender.send(creation(&each.create));
        }
        let (origin, answers) = servers.watch(requests).await;
        let ended = match answers {
            Ok(answers) => {
                if std::mem::take(&mut has_failed) {
                    // Holders that began meanwhile are holders of before as well.
                    while let Ok(command) = commands.try_recv() {
                        let _ = apply(command, &mut wanted).map(|request| sender.send(request));
                    }
                    for each in wanted.values().filter(|each| each.is_of_holder) {
                        let _ = each.news.send(News::Unknown);
                    }
                }
                let stream = Stream { sender, answers };
                stream
                    .run(&servers, &origin, &mut commands, &mut wanted)
                    .await
            }
            Err(_) => Ended::Failed,
        };
        match ended {
            Ended::Closed => return,
            Ended::Moved => {}
            Ended::Failed => {
                has_failed = true;
                sleep(PAUSE).await;
            }
        }
    }
}

fn apply(command: Command, wanted: &mut HashMap<i64, Wanted>) -> Option<WatchRequest> {
    match command {
        Command::Begin(id, each) => {
            let request = creation(&each.create);
            wanted.insert(id, each);
            Some(request)
        }
        Command::End(id) => {
            wanted.remove(&id)?;
            let cancel = WatchKind::Cancel(WatchCancelRequest { watch_id: id });
            Some(WatchRequest { kind: Some(cancel) })
        }
    }
}

fn deletion(key: &[u8], revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.to_vec(),
        start_revision: revision,
        filters: vec![WatchFilter::NoPut.into()],
        ..WatchCreateRequest::default()
    }
}

fn creation(create: &WatchCreateRequest) -> WatchRequest {
    WatchRequest {
        kind: Some(WatchKind::Create(create.clone())),
    }
}

/// Reason why a stream has ended.
enum Ended {
    /// The client is gone.
    Closed,
    /// Another server is preferred, or there was another login.
    Moved,
    Failed,
}

/// An open stream.
struct Stream {
    sender: UnboundedSender<WatchRequest>,
    answers: WatchAnswers,
}

impl Stream {
    async fn run(
        mut self,
        servers: &Servers,
        origin: &Origin,
        commands: &mut UnboundedReceiver<Command>,
        wanted: &mut HashMap<i64, Wanted>,
    ) -> Ended {
        let mut left = std::pin::pin!(servers.left(origin));
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { return Ended::Closed };
                    if let Some(request) = apply(command, wanted) {
                        // A closed stream shows in its answers.
                        let _ = self.sender.send(request);
                    }
                }
                answer = self.answers.next() => match answer {
                    Some(Ok(answer)) => deliver(&answer, wanted),
                    Some(Err(status)) => {
                        servers.failed(origin, &status);
                        return Ended::Failed;
                    }
                    None => {
                        servers.failed(origin, &Status::unavailable("the stream ended"));
                        return Ended::Failed;
                    }
                },
                () = &mut left => return Ended::Moved,
            }
        }
    }
}

/// Hands the news to the watches.
fn deliver(answer: &WatchResponse, wanted: &mut HashMap<i64, Wanted>) {
    if answer.canceled {
        // Compacted, or not permitted. Those who watch read the keys, and go on with that.
        if let Some(each) = wanted.remove(&answer.watch_id) {
            let _ = each.news.send(News::Unknown);
        }
        // Newer servers do not say which one is not permitted. The others are cancelled when they are dropped.
        if answer.watch_id < 0 {
            for each in wanted.values() {
                let _ = each.news.send(News::Unknown);
            }
        }
        return;
    }
    let Some(each) = wanted.get(&answer.watch_id) else {
        return;
    };
    for event in &answer.events {
        let news = if event.kind == i32::from(EventType::Delete) {
            News::Deleted
        } else {
            News::Written
        };
        let _ = each.news.send(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_no_certain_watch_has_all_of_them_read_again() {
        let mut wanted = HashMap::new();
        let mut news = Vec::new();
        for id in 1..=2 {
            let (sender, receiver) = unbounded_channel();
            let each = Wanted {
                create: deletion(b"key", 1),
                news: sender,
                is_of_holder: id == 1,
            };
            wanted.insert(id, each);
            news.push(receiver);
        }
        let refused = |watch_id| WatchResponse {
            watch_id,
            canceled: true,
            ..WatchResponse::default()
        };
        deliver(&refused(-1), &mut wanted);
        assert_eq!(wanted.len(), 2, "those that a server keeps are cancelled");
        deliver(&refused(1), &mut wanted);
        assert_eq!(wanted.len(), 1);
        for (mut news, times) in news.into_iter().zip([2, 1]) {
            for _ in 0..times {
                assert_eq!(news.try_recv(), Ok(News::Unknown));
            }
            assert!(news.try_recv().is_err());
        }
    }
}
