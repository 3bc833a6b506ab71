//! A cluster in memory, on the clock of a test, with faults.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

use crate::proto::{
    Compare, CompareTarget, CompareWith, Event, EventType, KeyValue, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseRevokeResponse, Op, OpDone, PutResponse, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, ResponseOp, SortOrder, SortTarget, StatusResponse,
    TxnRequest, TxnResponse, WatchCreateRequest, WatchKind, WatchRequest, WatchResponse,
};
use crate::transport::{Answer, Answering, Request, Transport, WatchAnswers};

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LostRequest,
    LostAnswer,
    /// It is carried out after three seconds, when nobody waits for its answer any more.
    Late,
    /// It is carried out and answered after [`SLOW`]; requests that follow overtake it.
    Slow,
    /// The member has no leader.
    Unavailable,
    Refused,
    /// All leases end right before it is carried out.
    EndedLeases,
    /// All keys are deleted right before it is carried out.
    DeletedKeys,
}

pub(crate) const SLOW: Duration = Duration::from_millis(300);

/// A cluster of two members, which share all.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    store: Mutex<Store>,
    changed: watch::Sender<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: usize,
    faults: HashMap<usize, Fault>,
    is_cut: bool,
}

struct Store {
    revision: i64,
    keys: BTreeMap<Vec<u8>, KeyValue>,
    /// The TTL and the end of each lease.
    leases: HashMap<i64, (i64, Instant)>,
    log: Vec<Event>,
    /// No watch can begin before that revision.
    compacted: i64,
}

impl Default for Store {
    /// The revision of an empty store is 1, as in etcd, so that no key is of revision 1.
    fn default() -> Self {
        Self {
            revision: 1,
            keys: BTreeMap::new(),
            leases: HashMap::new(),
            log: Vec::new(),
            compacted: 0,
        }
    }
}

impl Memory {
    /// Has that call fail, counted from 0.
    pub(crate) fn fail(&self, call: usize, fault: Fault) {
        self.state().faults.insert(call, fault);
    }

    /// Loses all requests from now on, or none.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.state().is_cut = is_cut;
    }

    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    pub(crate) fn keys(&self) -> usize {
        self.store().keys.len()
    }

    pub(crate) fn leases(&self) -> usize {
        self.store().leases.len()
    }

    /// Deletes all keys, as an administrator does.
    pub(crate) fn clear(&self) {
        let mut store = self.store();
        let keys: Vec<_> = store.keys.keys().cloned().collect();
        store.revision += 1;
        for key in &keys {
            store.delete(key);
        }
        drop(store);
        self.0.changed.send_replace(());
    }

    /// Ends all leases, as the time does while a client is suspended.
    pub(crate) fn end_leases(&self) {
        let mut store = self.store();
        let leases: Vec<_> = store.leases.keys().copied().collect();
        for id in leases {
            store.end_lease(id);
        }
        drop(store);
        self.0.changed.send_replace(());
    }

    /// Forgets what was written before now.
    pub(crate) fn compact(&self) {
        let mut store = self.store();
        store.revision += 2;
        store.compacted = store.revision;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic")
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().expect("no panic")
    }

    fn carry_out(&self, request: Request) -> Result<Answer, Status> {
        let answer = self.store().carry_out(request);
        self.0.changed.send_replace(());
        answer
    }
}

impl Transport for Memory {
    fn servers(&self) -> usize {
        2
    }

    fn call(&self, _: usize, request: Request, _: Option<&str>) -> Answering<Answer> {
        let memory = self.clone();
        let fault = {
            let mut state = self.state();
            let call = state.calls;
            state.calls += 1;
            if state.is_cut {
                Some(Fault::LostRequest)
            } else {
                state.faults.remove(&call)
            }
        };
        Box::pin(async move {
            match fault {
                None => return memory.carry_out(request),
                Some(Fault::Unavailable) => {
                    return Err(Status::unavailable("etcdserver: no leader"));
                }
                Some(Fault::EndedLeases) => {
                    memory.end_leases();
                    return memory.carry_out(request);
                }
                Some(Fault::DeletedKeys) => {
                    memory.clear();
                    return memory.carry_out(request);
                }
                Some(Fault::Refused) => return Err(Status::permission_denied("refused")),
                Some(Fault::Slow) => {
                    sleep(SLOW).await;
                    return memory.carry_out(request);
                }
                Some(Fault::LostRequest) => {}
                Some(Fault::LostAnswer) => drop(memory.carry_out(request)),
                Some(Fault::Late) => {
                    tokio::spawn(async move {
                        sleep(Duration::from_secs(3)).await;
                        drop(memory.carry_out(request));
                    });
                }
            }
            std::future::pending().await
        })
    }

    fn watch(
        &self,
        _: usize,
        requests: UnboundedReceiver<WatchRequest>,
        _: Option<&str>,
    ) -> Answering<WatchAnswers> {
        let (sender, answers) = unbounded_channel();
        tokio::spawn(self.clone().serve(requests, sender));
        let answers: WatchAnswers = Box::pin(UnboundedReceiverStream::new(answers));
        Box::pin(async move { Ok(answers) })
    }
}

impl Memory {
    async fn serve(
        self,
        mut requests: UnboundedReceiver<WatchRequest>,
        answers: tokio::sync::mpsc::UnboundedSender<Result<WatchResponse, Status>>,
    ) {
        let mut changed = self.0.changed.subscribe();
        let mut watches: Vec<(WatchCreateRequest, usize)> = Vec::new();
        loop {
            tokio::select! {
                request = requests.recv() => match request.map(|request| request.kind) {
                    None => return,
                    Some(Some(WatchKind::Create(create))) => {
                        let compact_revision = self.store().compacted;
                        if create.start_revision < compact_revision {
                            drop(answers.send(Ok(WatchResponse {
                                watch_id: create.watch_id,
                                canceled: true,
                                compact_revision,
                                ..WatchResponse::default()
                            })));
                        } else {
                            watches.push((create, 0));
                        }
                    }
                    Some(Some(WatchKind::Cancel(cancel))) => {
                        watches.retain(|(create, _)| create.watch_id != cancel.watch_id);
                    }
                    Some(None) => {}
                },
                _ = changed.changed() => {}
            }
            let store = self.store();
            for (create, seen) in &mut watches {
                let news = store
                    .log
                    .iter()
                    .skip(*seen)
                    .filter(|event| create.wants(event));
                let answer = WatchResponse {
                    watch_id: create.watch_id,
                    events: news.cloned().collect(),
                    ..WatchResponse::default()
                };
                *seen = store.log.len();
                if !answer.events.is_empty() {
                    drop(answers.send(Ok(answer)));
                }
            }
        }
    }
}

impl WatchCreateRequest {
    fn wants(&self, event: &Event) -> bool {
        let key = event.kv.as_ref().expect("it is of a key");
        let is_filtered = event.kind == i32::from(EventType::Put) && !self.filters.is_empty();
        !is_filtered
            && key.mod_revision >= self.start_revision
            && is_in(&key.key, &self.key, &self.range_end)
    }
}

fn is_in(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    if end.is_empty() {
        key == start
    } else {
        start <= key && key < end
    }
}

impl Store {
    fn carry_out(&mut self, request: Request) -> Result<Answer, Status> {
        self.end_leases();
        let header = self.header();
        Ok(match request {
            Request::Status(_) => Answer::Status(StatusResponse {
                header,
                version: "3.4.0".to_owned(),
                ..StatusResponse::default()
            }),
            Request::Txn(request) => Answer::Txn(self.txn(request)?),
            Request::Grant(request) => {
                if self.leases.contains_key(&request.id) {
                    let text = "etcdserver: lease already exists";
                    return Err(Status::failed_precondition(text));
                }
                self.renew(request.id, request.ttl);
                Answer::Grant(LeaseGrantResponse {
                    header,
                    id: request.id,
                    ttl: request.ttl,
                    error: String::new(),
                })
            }
            Request::KeepAlive(request) => {
                let ttl = self.leases.get(&request.id).map_or(0, |(ttl, _)| *ttl);
                if ttl != 0 {
                    self.renew(request.id, ttl);
                }
                Answer::KeepAlive(LeaseKeepAliveResponse {
                    header,
                    id: request.id,
                    ttl,
                })
            }
            Request::Revoke(request) => {
                self.end_lease(request.id);
                Answer::Revoke(LeaseRevokeResponse {})
            }
            request => return Err(Status::unimplemented(format!("{request:?}"))),
        })
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "the messages have an optional header"
    )]
    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            cluster_id: 1,
            revision: self.revision,
            ..ResponseHeader::default()
        })
    }

    fn renew(&mut self, id: i64, ttl: i64) {
        let time = Duration::from_secs(u64::try_from(ttl).expect("positive"));
        self.leases.insert(id, (ttl, Instant::now() + time));
    }

    fn end_leases(&mut self) {
        let now = Instant::now();
        let ended: Vec<_> = self
            .leases
            .iter()
            .filter(|(_, (_, end))| *end <= now)
            .collect();
        let ended: Vec<_> = ended.into_iter().map(|(id, _)| *id).collect();
        for id in ended {
            self.end_lease(id);
        }
    }

    fn end_lease(&mut self, id: i64) {
        self.leases.remove(&id);
        let keys = self.keys.values().filter(|key| key.lease == id);
        let keys: Vec<_> = keys.map(|key| key.key.clone()).collect();
        self.revision += 1;
        for key in &keys {
            self.delete(key);
        }
    }

    fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse, Status> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded {
            request.success
        } else {
            request.failure
        };
        let writes = |op: &RequestOp| !matches!(op.request, Some(Op::Range(_)));
        if ops.iter().any(writes) {
            self.revision += 1;
        }
        let mut responses = Vec::new();
        for op in ops {
            let response = match op.request.expect("an operation") {
                Op::Range(range) => OpDone::Range(self.range(&range)),
                Op::Put(put) => {
                    if put.lease != 0 && !self.leases.contains_key(&put.lease) {
                        return Err(Status::not_found("etcdserver: requested lease not found"));
                    }
                    self.put(put.key, put.value, put.lease);
                    OpDone::Put(PutResponse {})
                }
                Op::Delete(delete) => {
                    self.delete(&delete.key);
                    OpDone::Delete(crate::proto::DeleteRangeResponse::default())
                }
            };
            responses.push(ResponseOp {
                response: Some(response),
            });
        }
        Ok(TxnResponse {
            header: self.header(),
            succeeded,
            responses,
        })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let keys = self.keys.values();
        let mut keys = keys.filter(|key| is_in(&key.key, &compare.key, &compare.range_end));
        match compare.with {
            Some(CompareWith::CreateRevision(revision)) => {
                assert_eq!(compare.target, i32::from(CompareTarget::Create));
                match keys.next() {
                    None => revision == 0,
                    Some(key) => key.create_revision == revision && keys.next().is_none(),
                }
            }
            Some(CompareWith::ModRevision(revision)) => keys.all(|key| key.mod_revision < revision),
            None => panic!("a comparison with nothing"),
        }
    }

    fn range(&self, range: &RangeRequest) -> RangeResponse {
        let keys = self.keys.values();
        let keys = keys.filter(|key| is_in(&key.key, &range.key, &range.range_end));
        let newest = range.max_create_revision;
        let keys = keys.filter(|key| newest == 0 || key.create_revision <= newest);
        let mut kvs: Vec<_> = keys.cloned().collect();
        if range.sort_target == i32::from(SortTarget::Create) {
            kvs.sort_by_key(|key| key.create_revision);
        }
        if range.sort_order == i32::from(SortOrder::Descend) {
            kvs.reverse();
        }
        if range.limit != 0 {
            kvs.truncate(usize::try_from(range.limit).expect("small"));
        }
        RangeResponse {
            header: self.header(),
            count: 0,
            kvs,
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, lease: i64) {
        let before = self.keys.get(&key);
        let kv = KeyValue {
            create_revision: before.map_or(self.revision, |key| key.create_revision),
            mod_revision: self.revision,
            key,
            value,
            lease,
            version: 0,
        };
        self.keys.insert(kv.key.clone(), kv.clone());
        self.log.push(event(EventType::Put, kv));
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(mut kv) = self.keys.remove(key) {
            kv.mod_revision = self.revision;
            self.log.push(event(EventType::Delete, kv));
        }
    }
}

fn event(kind: EventType, kv: KeyValue) -> Event {
    Event {
        kind: kind.into(),
        kv: Some(kv),
    }
}
