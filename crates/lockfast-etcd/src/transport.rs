//! Transport of requests to a server: gRPC, or a cluster in memory in tests.

pub(crate) mod grpc;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::Stream;
use tonic::Status;

use crate::proto::{
    AuthenticateRequest, AuthenticateResponse, LeaseGrantRequest, LeaseGrantResponse,
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    MemberListRequest, MemberListResponse, RangeRequest, RangeResponse, StatusRequest,
    StatusResponse, TxnRequest, TxnResponse, WatchRequest, WatchResponse,
};

pub(crate) type Answering<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;
pub(crate) type WatchAnswers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// The way to the servers of a cluster.
pub(crate) trait Transport: Send + Sync + 'static {
    /// The number of servers.
    fn servers(&self) -> usize;

    /// Sends a request to a server. Each request can be sent again when its answer is lost.
    fn call(&self, server: usize, request: Request, token: Option<&str>) -> Answering<Answer>;

    /// Opens a stream of watches on a server.
    fn watch(
        &self,
        server: usize,
        requests: UnboundedReceiver<WatchRequest>,
        token: Option<&str>,
    ) -> Answering<WatchAnswers>;
}

macro_rules! requests {
    ($($name:ident($request:ident) -> $answer:ident),* $(,)?) => {
        /// A request with one answer.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Request { $($name($request)),* }

        /// The answer to a request.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Answer { $($name($answer)),* }

        /// A message that is answered by a message of one type.
        pub(crate) trait Ask: Into<Request> {
            type Answer: TryFrom<Answer, Error = Status>;
        }

        $(
            impl From<$request> for Request {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl Ask for $request {
                type Answer = $answer;
            }

            impl TryFrom<Answer> for $answer {
                type Error = Status;

                fn try_from(answer: Answer) -> Result<Self, Status> {
                    match answer {
                        Answer::$name(answer) => Ok(answer),
                        _ => Err(Status::internal("the answer belongs to another request")),
                    }
                }
            }
        )*
    };
}

requests! {
    Range(RangeRequest) -> RangeResponse,
    Txn(TxnRequest) -> TxnResponse,
    Grant(LeaseGrantRequest) -> LeaseGrantResponse,
    KeepAlive(LeaseKeepAliveRequest) -> LeaseKeepAliveResponse,
    Revoke(LeaseRevokeRequest) -> LeaseRevokeResponse,
    Authenticate(AuthenticateRequest) -> AuthenticateResponse,
    Status(StatusRequest) -> StatusResponse,
    Members(MemberListRequest) -> MemberListResponse,
}
