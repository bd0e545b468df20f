//! The checks of a host before anything is asked of it: name, connections, certificate, clock.
//! Takes a client and a host, gives checks, and whether the host can be asked for more.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use bundle_oci::Registry;
use bundle_registry::{Blame, CertificateTimes, Client, Error, ServerTime};
use futures_util::future::join_all;

use super::check::{Check, CheckName, Outcome, Skipped, Trouble, timestamp};
use crate::Limits;

/// The results for a host.
#[derive(Debug, Default)]
pub struct HostChecks {
    /// The checks.
    pub checks: Vec<Check>,
    /// Its addresses; none if they were not asked for, or not found.
    pub addresses: Vec<IpAddr>,
    /// Whether it can be asked for more.
    pub reached: bool,
}

/// Looks at a host.
pub async fn look_at_host(client: &Client, registry: &Registry) -> HostChecks {
    let mut found = HostChecks::default();
    let mut add = |name: CheckName, outcome| found.checks.push(name.of(registry, outcome));
    let proxy = match client.proxy_to(registry).await {
        Ok(proxy) => proxy,
        Err(error) => {
            add(CheckName::Name, Outcome::Failed(error.into()));
            return found;
        }
    };
    let mut answers = None;
    match &proxy {
        Some(proxy) => {
            for name in [CheckName::Name, CheckName::Connection] {
                add(name, Outcome::NotRun(Skipped::Proxy(proxy.clone())));
            }
        }
        None => {
            let addresses = match client.addresses(registry).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    add(CheckName::Name, Outcome::Failed(error.into()));
                    return found;
                }
            };
            found.addresses = addresses.iter().map(SocketAddr::ip).collect();
            found.addresses.dedup();
            let shown: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
            add(CheckName::Name, Outcome::Passed(shown.join(", ")));
            let tried = &addresses[..addresses.len().min(Limits::DEFAULT.addresses)];
            let tries =
                join_all(tried.iter().map(|address| async { (*address, client.connects(*address).await) }))
                    .await;
            answers = tries.iter().find(|(_, tried)| tried.is_ok()).map(|(address, _)| *address);
            let count = tries.len();
            let refused: Vec<_> =
                tries.into_iter().filter_map(|(address, tried)| Some((address, tried.err()?))).collect();
            match (refused.len(), count) {
                (0, 1) => add(CheckName::Connection, Outcome::Passed(shown.join(", "))),
                (0, _) => add(CheckName::Connection, Outcome::Passed("all addresses".to_owned())),
                (refused_count, count) if refused_count == count => {
                    add(CheckName::Connection, Outcome::Failed(Trouble::Unanswered(refused)));
                    return found;
                }
                _ => add(CheckName::Connection, Outcome::Warned(Trouble::Partly(refused))),
            }
        }
    }
    let encrypted = client.encrypts(registry).await;
    let times = match answers.filter(|_| encrypted) {
        Some(address) => client.certificate_times(registry, address).await.unwrap_or_default(),
        None => CertificateTimes::default(),
    };
    let time = match client.server_time(registry).await {
        Ok(time) => time,
        Err(error @ Error::Certificate { .. }) => {
            add(CheckName::Certificate, Outcome::Failed(Trouble::Certificate { error, times }));
            add(CheckName::Clock, Outcome::NotRun(Skipped::After("the certificate")));
            return found;
        }
        Err(error) => {
            let name = match error.blame() {
                Blame::Tls => CheckName::Certificate,
                _ => CheckName::Connection,
            };
            add(name, Outcome::Failed(error.into()));
            return found;
        }
    };
    let certificate = match encrypted {
        true => certificate(&times, SystemTime::now()),
        false => Outcome::NotRun(Skipped::PlainHttp),
    };
    add(CheckName::Certificate, certificate);
    add(CheckName::Clock, clock(&time));
    found.reached = true;
    found
}

/// A certificate that is trusted: how long it still is.
fn certificate(times: &CertificateTimes, now: SystemTime) -> Outcome {
    let Some((end, at)) = times.not_after.and_then(|end| Some((end, timestamp(end)?))) else {
        return Outcome::Passed("trusted".to_owned());
    };
    let left = end.duration_since(now).unwrap_or_default();
    if left < Limits::DEFAULT.ends_soon {
        return Outcome::Warned(Trouble::Ends { at, days: left.as_secs() / 86_400 });
    }
    Outcome::Passed(format!("trusted, until {at}"))
}

/// The clock here against that of a host. Its date has whole seconds, and is from some moment between the
/// question and the answer.
fn clock(time: &ServerTime) -> Outcome {
    let Some(date) = time.date else { return Outcome::NotRun(Skipped::NoDate) };
    let second = Duration::from_secs(1);
    let (earliest, latest) = (time.asked - second, time.answered + second);
    let (off, ahead) = match (earliest.duration_since(date), date.duration_since(latest)) {
        (Ok(behind), _) => (behind, true),
        (_, Ok(ahead)) => (ahead, false),
        _ => (Duration::ZERO, false),
    };
    let trouble = Trouble::Clock { off, ahead };
    match off {
        off if off > Limits::DEFAULT.clock_fails => Outcome::Failed(trouble),
        off if off > Limits::DEFAULT.clock_warns => Outcome::Warned(trouble),
        _ => Outcome::Passed("within a minute of the registry's".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_warns_after_a_minute_and_fails_after_five() {
        for (here, there, expected) in [
            (1000, 1000, "passed"),
            (1060, 1000, "passed"),
            (1062, 1000, "warned, ahead"),
            (1000, 1300, "warned, behind"),
            (1302, 1000, "failed, ahead"),
            (1000, 1302, "failed, behind"),
            (0, 1_800_000_000, "failed, behind"),
        ] {
            let here = at(here + 10);
            let time = ServerTime { date: Some(at(there + 10)), asked: here, answered: here };
            let way = |trouble: &Trouble| match trouble {
                Trouble::Clock { ahead: true, .. } => "ahead",
                _ => "behind",
            };
            let said = match clock(&time) {
                Outcome::Passed(_) => "passed".to_owned(),
                Outcome::Warned(trouble) => format!("warned, {}", way(&trouble)),
                Outcome::Failed(trouble) => format!("failed, {}", way(&trouble)),
                Outcome::NotRun(_) => "not run".to_owned(),
            };
            assert_eq!(said, expected, "{here:?} {there}");
        }
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let time = ServerTime { date: Some(at(1000)), asked: at(1000), answered: at(1400) };
        assert!(matches!(clock(&time), Outcome::Passed(_)));
        assert!(matches!(clock(&ServerTime { date: None, ..time }), Outcome::NotRun(Skipped::NoDate)));
    }

    #[test]
    fn a_certificate_is_spoken_of_a_month_before_its_end() {
        let day = 86_400;
        let ends = |days: u64| CertificateTimes { not_before: None, not_after: Some(at(1000 + days * day)) };
        assert!(matches!(certificate(&ends(31), at(1000)), Outcome::Passed(_)));
        let Outcome::Warned(Trouble::Ends { days, .. }) = certificate(&ends(9), at(1000)) else { panic!() };
        assert_eq!(days, 9);
        assert!(matches!(certificate(&CertificateTimes::default(), at(0)), Outcome::Passed(_)));
    }
}
