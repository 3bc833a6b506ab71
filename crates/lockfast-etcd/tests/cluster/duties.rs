//! The suite of all engines, on a cluster that its tests share.

use std::sync::{Arc, OnceLock};

use libtest_mimic::Trial;
use lockfast_servers::etcd::{Cluster, Release};
use lockfast_servers::network;
use lockfast_testing::trial_needing;

use crate::prefix::Prefix;

pub(crate) fn trials() -> Vec<Trial> {
    // Started when it is first needed, and stopped after the last test.
    let cluster: Arc<OnceLock<Cluster>> = Arc::default();
    let duties = lockfast_conformance::duties::<Prefix>();
    let trial = |(name, duty): (&'static str, fn(&Prefix))| {
        let needed = network::available().and(Release::Debian.find().map(drop));
        let cluster = Arc::clone(&cluster);
        trial_needing!(name, needed, move || {
            let cluster = cluster.get_or_init(|| Cluster::start(Release::Debian));
            duty(&Prefix::at(&cluster.endpoints(), ""));
        })
    };
    duties.into_iter().map(trial).collect()
}
