//! Parts of transactions.

use crate::keys::Range;
use crate::proto::{
    Compare, CompareResult, CompareTarget, CompareWith, DeleteRangeRequest, KeyValue, Op, OpDone,
    PutRequest, RangeRequest, RequestOp, SortOrder, SortTarget, TxnRequest, TxnResponse,
};

/// Returns a transaction.
pub(crate) fn when(
    compare: Vec<Compare>,
    success: Vec<RequestOp>,
    failure: Vec<RequestOp>,
) -> TxnRequest {
    TxnRequest {
        compare,
        success,
        failure,
    }
}

/// Whether the key was created at that revision; 0 for a key that is not there.
pub(crate) fn created(key: &[u8], revision: i64) -> Compare {
    compare(
        CompareResult::Equal,
        CompareTarget::Create,
        CompareWith::CreateRevision(revision),
        (key, &[]),
    )
}

/// Whether no key is in the range.
pub(crate) fn none_in(range: &Range) -> Compare {
    compare(
        CompareResult::Equal,
        CompareTarget::Create,
        CompareWith::CreateRevision(0),
        (&range.start, &range.end),
    )
}

/// Whether no key in the range was written after that revision. Keys may be gone.
pub(crate) fn not_written_since(range: &Range, revision: i64) -> Compare {
    compare(
        CompareResult::Less,
        CompareTarget::Mod,
        CompareWith::ModRevision(revision + 1),
        (&range.start, &range.end),
    )
}

fn compare(
    result: CompareResult,
    target: CompareTarget,
    with: CompareWith,
    (start, end): (&[u8], &[u8]),
) -> Compare {
    Compare {
        result: result.into(),
        target: target.into(),
        key: start.to_vec(),
        with: Some(with),
        range_end: end.to_vec(),
    }
}

pub(crate) fn put(key: &[u8], value: &[u8], lease: i64) -> RequestOp {
    op(Op::Put(PutRequest {
        key: key.to_vec(),
        value: value.to_vec(),
        lease,
    }))
}

pub(crate) fn delete(key: &[u8]) -> RequestOp {
    let key = key.to_vec();
    op(Op::Delete(DeleteRangeRequest { key }))
}

pub(crate) fn get(key: &[u8]) -> RequestOp {
    op(Op::Range(RangeRequest {
        key: key.to_vec(),
        ..RangeRequest::default()
    }))
}

/// Reads the keys of a range, the oldest first.
pub(crate) fn oldest(range: &Range, limit: i64) -> RequestOp {
    op(Op::Range(RangeRequest {
        sort_order: SortOrder::Ascend.into(),
        ..sorted(range, limit)
    }))
}

/// Reads the keys of a range that were created before that revision, the latest first.
pub(crate) fn latest_before(range: &Range, revision: i64, limit: i64) -> RequestOp {
    op(Op::Range(RangeRequest {
        sort_order: SortOrder::Descend.into(),
        max_create_revision: revision - 1,
        ..sorted(range, limit)
    }))
}

/// Reads the keys of a range, the latest first.
pub(crate) fn latest(range: &Range, limit: i64) -> RequestOp {
    // No limit of the revision.
    latest_before(range, 1, limit)
}

pub(crate) fn sorted(range: &Range, limit: i64) -> RangeRequest {
    RangeRequest {
        key: range.start.clone(),
        range_end: range.end.clone(),
        limit,
        sort_target: SortTarget::Create.into(),
        ..RangeRequest::default()
    }
}

fn op(request: Op) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

/// The answers of a transaction.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) succeeded: bool,
    /// The revision of the store when it was carried out.
    pub(crate) revision: i64,
    pub(crate) cluster: u64,
    found: std::vec::IntoIter<Vec<KeyValue>>,
}

impl Outcome {
    pub(crate) fn of(response: TxnResponse) -> Self {
        let header = response.header.unwrap_or_default();
        let found = response
            .responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(OpDone::Range(range)) => Some(range.kvs),
                _ => None,
            });
        Self {
            succeeded: response.succeeded,
            revision: header.revision,
            cluster: header.cluster_id,
            found: found.collect::<Vec<_>>().into_iter(),
        }
    }

    /// The keys that the next read has found.
    pub(crate) fn keys(&mut self) -> Vec<KeyValue> {
        self.found.next().unwrap_or_default()
    }

    /// The key that the next read has found.
    pub(crate) fn key(&mut self) -> Option<KeyValue> {
        self.keys().into_iter().next()
    }
}
