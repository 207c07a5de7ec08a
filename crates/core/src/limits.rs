//! Rate limits as token buckets, counted by the generic cell rate algorithm: a bucket is one instant, the *theoretical
//! arrival time*, so a store keeps and changes it in one conditional statement.

use std::net::IpAddr;

use identsphere_kernel::{Duration, Email, EmailKey, Timestamp, TokenHash, UserId};
use identsphere_sessions::ClientInfo;

use crate::{Error, IdentSphere};

/// How many may come at once, and over what time so many come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Size of a full bucket.
    pub burst: u32,
    /// How long an empty bucket takes to fill.
    pub per: Duration,
}

impl Quota {
    /// How long one token takes to come back.
    pub fn interval(&self) -> Duration {
        self.per / self.burst.max(1)
    }
}

/// Which bucket: a hash, so that a store holds no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketKey([u8; 32]);

impl BucketKey {
    /// The bucket of a client address for one purpose. An IPv6 client is its /64 network.
    pub fn of_address(purpose: &str, address: Option<IpAddr>) -> Self {
        let who = match address {
            Some(IpAddr::V4(v4)) => v4.to_string(),
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => v4.to_string(),
                None => format!("{:x}/64", v6.to_bits() >> 64),
            },
            None => "unknown".to_owned(),
        };
        Self::of(purpose, "address", &who)
    }

    /// The bucket of an account for one purpose, known or not. All spellings of an address share it.
    pub fn of_account(purpose: &str, email: &EmailKey) -> Self {
        Self::of(purpose, "account", email.as_str())
    }

    /// The bytes of the key. For adapters.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bucket of a user for one purpose.
    pub fn of_user(purpose: &str, user: UserId) -> Self {
        Self::of(purpose, "user", &user.to_string())
    }

    fn of(purpose: &str, kind: &str, who: &str) -> Self {
        Self(*TokenHash::of(format!("{purpose}\0{kind}\0{who}").as_bytes()).as_bytes())
    }
}

/// One token out of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// Which bucket.
    pub bucket: BucketKey,
    /// Its size.
    pub quota: Quota,
}

impl Take {
    /// The rule that every store follows: given a bucket's arrival time (`None` for a bucket not seen before), the next
    /// arrival time when a token can be taken at `now`, else how long until one can.
    ///
    /// # Errors
    /// How long to wait.
    pub fn advance(&self, arrival: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Duration> {
        let next = arrival.unwrap_or(now).max(now).plus(self.quota.interval());
        let limit = now.plus(self.quota.per);
        if next <= limit { Ok(next) } else { Err(next.since(limit)) }
    }
}

/// The quotas of the service.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Registrations a client address.
    pub register_address: Quota,
    /// Answers that an address is taken, a client address (AU-04).
    pub register_conflict: Quota,
    /// Failed sign-ins an account, known or not (AU-05).
    pub login_account: Quota,
    /// Failed sign-ins a client address.
    pub login_address: Quota,
    /// Wrong passwords of a user who is signed in and changes or deletes something by it.
    pub password_account: Quota,
    /// Second factors that are tried, a user, over every endpoint (MF-04).
    pub second_factor: Quota,
    /// Ceremonies with passkeys that are begun: a client address or, within a session, a user.
    pub passkey_ceremonies: Quota,
    /// Pictures that a user sends.
    pub upload_account: Quota,
    /// Mails of one kind to an address, known or not, in quick succession (RC-16).
    pub mail_account: Quota,
    /// Mails of one kind to an address in a day (RC-16).
    pub mail_account_day: Quota,
    /// Questions for mail, a client address.
    pub mail_address: Quota,
    /// Links that are redeemed, a client address.
    pub redeem_address: Quota,
}

impl RateLimits {
    /// The published limits.
    pub const fn standard() -> Self {
        const QUARTER: Duration = Duration::from_secs(15 * 60);
        const HOUR: Duration = Duration::from_secs(60 * 60);
        Self {
            register_address: Quota { burst: 100, per: HOUR },
            register_conflict: Quota { burst: 10, per: HOUR },
            login_account: Quota { burst: 10, per: QUARTER },
            login_address: Quota { burst: 100, per: QUARTER },
            password_account: Quota { burst: 10, per: QUARTER },
            second_factor: Quota { burst: 10, per: HOUR },
            passkey_ceremonies: Quota { burst: 300, per: QUARTER },
            upload_account: Quota { burst: 30, per: HOUR },
            mail_account: Quota { burst: 3, per: Duration::from_secs(10 * 60) },
            mail_account_day: Quota { burst: 10, per: Duration::from_secs(24 * 60 * 60) },
            mail_address: Quota { burst: 30, per: QUARTER },
            redeem_address: Quota { burst: 100, per: QUARTER },
        }
    }
}

impl IdentSphere {
    /// What an attempt to sign in takes; a good one gives it back.
    pub(crate) fn attempts(&self, purpose: &str, email: &Email, client: &ClientInfo) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![
            Take { bucket: BucketKey::of_account(purpose, email.key()), quota: limits.login_account },
            Take { bucket: BucketKey::of_address(purpose, client.ip_address), quota: limits.login_address },
        ]
    }

    /// What a mail of one kind takes.
    pub(crate) fn mails_to(&self, purpose: &str, email: &EmailKey, client: &ClientInfo) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        let (soon, day) = (format!("mail {purpose}"), format!("mail a day {purpose}"));
        vec![
            Take { bucket: BucketKey::of_account(&soon, email), quota: limits.mail_account },
            Take { bucket: BucketKey::of_account(&day, email), quota: limits.mail_account_day },
            Take { bucket: BucketKey::of_address("mail", client.ip_address), quota: limits.mail_address },
        ]
    }

    /// What trying a second factor takes; a good one gives it back.
    pub(crate) fn second_factor_attempts(&self, user: UserId) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![Take { bucket: BucketKey::of_user("second factor", user), quota: limits.second_factor }]
    }

    /// What answering a question or a ceremony takes from a client address; a good answer gives it back.
    pub(crate) fn answers(&self, purpose: &str, client: &ClientInfo) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![Take { bucket: BucketKey::of_address(purpose, client.ip_address), quota: limits.login_address }]
    }

    /// What beginning a sign-in with a passkey takes.
    pub(crate) fn passkey_sign_ins(&self, client: &ClientInfo) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![Take {
            bucket: BucketKey::of_address("passkey", client.ip_address),
            quota: limits.passkey_ceremonies,
        }]
    }

    /// What beginning a ceremony with passkeys within a session takes.
    pub(crate) fn ceremonies(&self, user: UserId) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![Take { bucket: BucketKey::of_user("passkey", user), quota: limits.passkey_ceremonies }]
    }

    /// What redeeming a link takes.
    pub(crate) fn redemptions(&self, client: &ClientInfo) -> Vec<Take> {
        let Some(limits) = self.policy.limits else { return vec![] };
        vec![Take {
            bucket: BucketKey::of_address("redeem", client.ip_address),
            quota: limits.redeem_address,
        }]
    }

    /// Takes one token out of each bucket, or says how long to wait for the slowest. Not by a clock that is wrong: one
    /// that is ahead would fill the buckets of all nodes for as long.
    pub(crate) async fn take(&self, takes: &[Take]) -> Result<(), Error> {
        if takes.is_empty() {
            return Ok(());
        }
        self.demand_clock()?;
        let waits = self.store().take(takes, self.now()).await?;
        match waits.into_iter().flatten().max() {
            None => Ok(()),
            Some(retry_after) => Err(Error::RateLimited { retry_after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTA: Quota = Quota { burst: 10, per: Duration::from_secs(900) };

    fn take() -> Take {
        Take { bucket: BucketKey::of_address("test", None), quota: QUOTA }
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_one_an_interval() {
        let now = Timestamp::from_unix_seconds(1_000);
        let mut arrival = None;
        for _ in 0..10 {
            arrival = Some(take().advance(arrival, now).unwrap());
        }
        assert_eq!(take().advance(arrival, now), Err(Duration::from_secs(90)));
        assert!(take().advance(arrival, now.plus(Duration::from_secs(90))).is_ok());
    }

    #[test]
    fn neighbours_in_an_ipv6_network_share_a_bucket() {
        let key = |text: &str| BucketKey::of_address("login", Some(text.parse().unwrap()));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn no_timing_gets_more_than_burst_and_refill(waits in prop::collection::vec(0u64..200, 1..200)) {
            let start = Timestamp::from_unix_seconds(1_000);
            let (mut now, mut arrival, mut taken) = (start, None, 0u64);
            for wait in waits {
                now = now.plus(Duration::from_secs(wait));
                if let Ok(next) = take().advance(arrival, now) {
                    arrival = Some(next);
                    taken += 1;
                }
            }
            prop_assert!(taken <= 10 + now.since(start).as_secs() / QUOTA.interval().as_secs());
        }
    }
}
