//! Bare requests to etcd, over one connection.

use http::uri::PathAndQuery;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::unbounded_channel;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::proto::{
    Compare, CompareResult, CompareTarget, CompareWith, DeleteRangeRequest, LeaseGrantRequest,
    LeaseGrantResponse, Op, PutRequest, RequestOp, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchKind, WatchRequest, WatchResponse,
};

/// A key that is created and deleted, each by a transaction.
pub(crate) struct Raw {
    runtime: Runtime,
    client: Grpc<Channel>,
    lease: i64,
    key: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(endpoint: &str, key: &str) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let channel = runtime.block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{endpoint}")).expect("a URL");
            let endpoint = endpoint.tcp_nodelay(true);
            endpoint.connect().await.expect("connected")
        });
        let mut raw = Self {
            runtime,
            client: Grpc::new(channel),
            lease: 0,
            key: key.as_bytes().to_vec(),
        };
        let request = LeaseGrantRequest { ttl: 60, id: 0 };
        let granted: LeaseGrantResponse = raw.unary("/etcdserverpb.Lease/LeaseGrant", request);
        raw.lease = granted.id;
        raw
    }

    /// Creates the key; returns its revision.
    pub(crate) fn create(&mut self) -> i64 {
        let put = PutRequest {
            key: self.key.clone(),
            // As long as the value of a lock.
            value: vec![b'x'; 200],
            lease: self.lease,
        };
        self.when_created(0, Op::Put(put))
    }

    /// Deletes the key with that revision.
    pub(crate) fn delete(&mut self, revision: i64) {
        let key = self.key.clone();
        self.when_created(revision, Op::Delete(DeleteRangeRequest { key }));
    }

    /// Watches the key from that revision on. The call blocks until the watch is there, and returns what blocks
    /// until the next event.
    pub(crate) fn watch(mut self, from: i64) -> impl FnOnce() {
        let (sender, requests) = unbounded_channel();
        let create = WatchCreateRequest {
            key: self.key.clone(),
            start_revision: from,
            watch_id: 1,
            ..WatchCreateRequest::default()
        };
        let kind = Some(WatchKind::Create(create));
        sender.send(WatchRequest { kind }).expect("open");
        let mut answers = self.runtime.block_on(async {
            self.client.ready().await.expect("connected");
            let requests = tonic::Request::new(UnboundedReceiverStream::new(requests));
            let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
            let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
            let answers = self.client.streaming(requests, path, codec).await;
            let mut answers = answers.expect("a stream").into_inner();
            let created = answers.message().await.expect("an answer");
            assert!(created.expect("an answer").created);
            answers
        });
        move || {
            let event = self.runtime.block_on(answers.message());
            let event = event.expect("an answer").expect("an answer");
            assert!(!event.events.is_empty());
            drop(sender);
        }
    }

    fn when_created(&mut self, revision: i64, op: Op) -> i64 {
        let compare = Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Create.into(),
            key: self.key.clone(),
            with: Some(CompareWith::CreateRevision(revision)),
            range_end: Vec::new(),
        };
        let request = TxnRequest {
            compare: vec![compare],
            success: vec![RequestOp { request: Some(op) }],
            failure: Vec::new(),
        };
        let answer: TxnResponse = self.unary("/etcdserverpb.KV/Txn", request);
        assert!(answer.succeeded);
        answer.header.expect("a header").revision
    }

    fn unary<Q, A>(&mut self, path: &'static str, request: Q) -> A
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let client = &mut self.client;
        self.runtime.block_on(async {
            client.ready().await.expect("connected");
            let path = PathAndQuery::from_static(path);
            let codec = ProstCodec::<Q, A>::default();
            let answer = client.unary(tonic::Request::new(request), path, codec);
            answer.await.expect("an answer").into_inner()
        })
    }
}
