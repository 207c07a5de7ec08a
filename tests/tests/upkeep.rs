//! What a service does by itself. On every framework and store.

use std::net::Ipv4Addr;
use std::time::Duration;

use identsphere_core::{BucketKey, Quota, Take};
use identsphere_e2e::{App, matrix};
use identsphere_kernel::Clock;

matrix! {
    a_sweep_leaves_nothing_behind_however_much_there_is,
}

async fn a_sweep_leaves_nothing_behind_however_much_there_is(app: App) {
    let store = app.service.store();
    let quota = Quota { burst: 1, per: Duration::from_secs(1) };
    let take =
        |n: u32| Take { bucket: BucketKey::of_address("test", Some(Ipv4Addr::from_bits(n).into())), quota };
    let takes: Vec<Take> = (0..2_500).map(take).collect();
    for some in takes.chunks(500) {
        store.take(some, app.clock.now()).await.unwrap();
    }
    app.clock.advance(Duration::from_secs(3_600));
    app.service.sweep().await.unwrap();
    assert_eq!(store.sweep_limits(app.clock.now(), 1).await.unwrap(), 0);
}
