//! The duties of every engine, on each release.

macro_rules! place {
    ($release:ident) => {
        match crate::shared::place(lockfast_servers::etcd::Release::$release) {
            Ok(place) => place,
            Err(reason) => lockfast_testing::skip!("{reason}"),
        }
    };
}

mod debian {
    lockfast_conformance::suite!(place!(Debian));
}

mod python {
    lockfast_conformance::suite!(place!(Python));
}
