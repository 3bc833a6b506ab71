//! The transport over gRPC: a connection for each server, made when it is used first.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::address::{Address, Tls};
use crate::proto::WatchRequest;
use crate::transport::{Answer, Answering, Request, Transport, WatchAnswers};

/// The limit of a connect; those that are refused fail at once.
const CONNECT: Duration = Duration::from_secs(1);
/// The time between signs of life on a connection. Servers refuse less than 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(3);
/// All waiters of a name are in one answer.
const LARGEST_ANSWER: usize = 64 << 20;

/// Connections to the servers of a cluster.
#[derive(Debug)]
pub(crate) struct Servers(Vec<Channel>);

impl Servers {
    /// Returns the servers of that address. Nothing is connected yet. Call it in the context of the runtime that
    /// is to do the work.
    ///
    /// # Errors
    ///
    /// If a certificate can't be used.
    pub(crate) fn new(address: &Address) -> Result<Self, tonic::transport::Error> {
        let connect = |url: &String| {
            let mut endpoint = Endpoint::from_shared(url.clone())?
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE_ANSWER);
            if let Some(tls) = &address.tls {
                endpoint = endpoint.tls_config(config(tls))?;
            }
            Ok(endpoint.connect_lazy())
        };
        let servers = address.servers.iter().map(connect);
        Ok(Self(servers.collect::<Result<_, _>>()?))
    }

    fn client(&self, server: usize) -> Grpc<Channel> {
        Grpc::new(self.0[server].clone()).max_decoding_message_size(LARGEST_ANSWER)
    }
}

impl Transport for Servers {
    fn servers(&self) -> usize {
        self.0.len()
    }

    fn call(&self, server: usize, request: Request, token: Option<&str>) -> Answering<Answer> {
        let client = self.client(server);
        let token = token.map(str::to_owned);
        Box::pin(async move {
            let call = Call { client, token };
            Ok(match request {
                Request::Range(request) => {
                    Answer::Range(call.unary("/etcdserverpb.KV/Range", request).await?)
                }
                Request::Txn(request) => {
                    Answer::Txn(call.unary("/etcdserverpb.KV/Txn", request).await?)
                }
                Request::Grant(request) => Answer::Grant(
                    call.unary("/etcdserverpb.Lease/LeaseGrant", request)
                        .await?,
                ),
                Request::KeepAlive(request) => {
                    let path = "/etcdserverpb.Lease/LeaseKeepAlive";
                    Answer::KeepAlive(call.first(path, request).await?)
                }
                Request::Revoke(request) => Answer::Revoke(
                    call.unary("/etcdserverpb.Lease/LeaseRevoke", request)
                        .await?,
                ),
                Request::Authenticate(request) => {
                    let path = "/etcdserverpb.Auth/Authenticate";
                    Answer::Authenticate(call.unary(path, request).await?)
                }
                Request::Status(request) => {
                    let path = "/etcdserverpb.Maintenance/Status";
                    Answer::Status(call.unary(path, request).await?)
                }
                Request::Members(request) => {
                    let path = "/etcdserverpb.Cluster/MemberList";
                    Answer::Members(call.unary(path, request).await?)
                }
            })
        })
    }

    fn watch(
        &self,
        server: usize,
        requests: UnboundedReceiver<WatchRequest>,
        token: Option<&str>,
    ) -> Answering<WatchAnswers> {
        let client = self.client(server);
        let token = token.map(str::to_owned);
        Box::pin(async move {
            let mut call = Call { client, token };
            let requests = call.with_metadata(UnboundedReceiverStream::new(requests))?;
            let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
            call.ready().await?;
            let answers = call.client.streaming(requests, path, ProstCodec::default());
            Ok(Box::pin(answers.await?.into_inner()) as WatchAnswers)
        })
    }
}

/// A call to a server.
struct Call {
    client: Grpc<Channel>,
    token: Option<String>,
}

impl Call {
    async fn unary<Q, A>(mut self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let request = self.with_metadata(request)?;
        let path = PathAndQuery::from_static(path);
        self.ready().await?;
        let answer = self
            .client
            .unary(request, path, ProstCodec::<Q, A>::default());
        Ok(answer.await?.into_inner())
    }

    /// Sends the request on a stream of its own, and returns the first answer: a stream that is kept may hang on a
    /// server that has lost its leader.
    async fn first<Q, A>(mut self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let request = self.with_metadata(tokio_stream::once(request))?;
        let path = PathAndQuery::from_static(path);
        self.ready().await?;
        let answers = self
            .client
            .streaming(request, path, ProstCodec::<Q, A>::default());
        let first = answers.await?.into_inner().message().await?;
        first.ok_or_else(|| Status::unavailable("the server closed the stream"))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let is_ready = self.client.ready().await;
        is_ready.map_err(|error| Status::unavailable(causes(&error)))
    }

    /// Adds that the server must have a leader, and who asks.
    fn with_metadata<T>(&self, message: T) -> Result<tonic::Request<T>, Status> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("hasleader", AsciiMetadataValue::from_static("true"));
        if let Some(token) = &self.token {
            let invalid =
                |_| Status::new(Code::Internal, "the server gave a token that is no text");
            let mut token = AsciiMetadataValue::try_from(token).map_err(invalid)?;
            token.set_sensitive(true);
            metadata.insert("token", token);
        }
        Ok(request)
    }
}

fn config(tls: &Tls) -> ClientTlsConfig {
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.trusted));
    match &tls.own {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

/// The text of an error with those of its causes, where a connection error has the reason.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
