//! Lists worlds for which `ping` once reported a wrong verdict.

#![allow(
    clippy::enum_glob_use,
    reason = "worlds print themselves without the names of the enums"
)]

use std::sync::Arc;

use super::certificates::Certificates;
use super::parts::{
    Acl::*, CutAt::*, CutBy::*, CutOn::*, Db::*, Door::*, Lacks::*, Login::*, Proxy::*, Role::*, Scheme::*,
    Speed::*, State::*,
};
use super::world::World;
use super::{block_on, check_patiently};
use crate::ping::WriteCheck::Run;

const FOUND: &[World] = &[
    World::HEALTHY,
    World {
        login: Password,
        cut_at: AtPing,
        cut_by: Close,
        ..World::HEALTHY
    },
    World {
        state: Misconf,
        lacks: LacksInfo,
        ..World::HEALTHY
    },
    World {
        acl: ReadForbidden,
        writes: Run,
        ..World::HEALTHY
    },
    World {
        door: ExpectsProxyHeader,
        acl: AllForbidden,
        ..World::HEALTHY
    },
    World {
        login: WrongPassword,
        proxy: LateReply,
        ..World::HEALTHY
    },
    World {
        scheme: TlsUrl,
        proxy: LateReply,
        ..World::HEALTHY
    },
    World {
        login: PasswordNotNeeded,
        proxy: NoBackendLogin,
        ..World::HEALTHY
    },
    World {
        proxy: NoBackendLogin,
        db: DbThree,
        ..World::HEALTHY
    },
    World {
        acl: PingForbidden,
        cut_at: AtRead,
        ..World::HEALTHY
    },
    World {
        cut_at: AtPing,
        cut_on: FirstConnection,
        lacks: LacksPing,
        ..World::HEALTHY
    },
    World {
        acl: TutorialOnly,
        state: QuotaUsedUp,
        ..World::HEALTHY
    },
    World {
        acl: TutorialOnly,
        role: Sentinel,
        ..World::HEALTHY
    },
    World {
        door: ExpectsProxyHeader,
        state: QuotaUsedUp,
        ..World::HEALTHY
    },
    World {
        proxy: NoBackendHttp,
        lacks: LacksPing,
        ..World::HEALTHY
    },
    World {
        acl: TutorialOnly,
        role: ClusterDown,
        db: DbThree,
        ..World::HEALTHY
    },
    World {
        login: Password,
        proxy: NoBackendLoginAtPing,
        cut_at: AtAuth,
        cut_on: FirstConnection,
        ..World::HEALTHY
    },
    World {
        cut_at: AtRead,
        cut_on: FirstConnection,
        role: Sentinel,
        ..World::HEALTHY
    },
    World {
        login: UserAndPassword,
        proxy: LateReply,
        lacks: IsRedis5,
        ..World::HEALTHY
    },
    World {
        login: Password,
        proxy: LateReply,
        cut_at: AtAuth,
        ..World::HEALTHY
    },
    World {
        acl: PingForbidden,
        state: Loading,
        db: DbTooHigh,
        ..World::HEALTHY
    },
    World {
        cut_at: AtHello,
        role: Replica,
        writes: Run,
        ..World::HEALTHY
    },
    World {
        login: PasswordMissing,
        lacks: LacksPing,
        role: ClusterNode,
        db: DbThree,
        ..World::HEALTHY
    },
    World {
        cut_at: AtPing,
        speed: SlowStart,
        ..World::HEALTHY
    },
    World {
        acl: AllForbidden,
        proxy: NoBackendError,
        cut_at: AtRead,
        ..World::HEALTHY
    },
    World {
        acl: AllForbidden,
        proxy: NoBackendCloses,
        cut_at: AtRead,
        ..World::HEALTHY
    },
    World {
        proxy: OtherReply,
        cut_at: AtEcho,
        ..World::HEALTHY
    },
    World {
        scheme: TlsUrl,
        door: OneConnectionOnly,
        ..World::HEALTHY
    },
    World {
        door: OneConnectionOnly,
        login: WrongPassword,
        cut_at: AtAuth,
        cut_on: FirstConnection,
        ..World::HEALTHY
    },
    World {
        login: WrongUser,
        cut_at: AtAuth,
        cut_on: FirstConnection,
        lacks: IsRedis5,
        ..World::HEALTHY
    },
    World {
        scheme: TlsUrl,
        door: EchoService,
        ..World::HEALTHY
    },
];

#[test]
fn worlds_that_were_judged_wrongly_once() {
    let certificates = Arc::new(Certificates::new());
    let failed: Vec<String> = FOUND
        .iter()
        .filter_map(|world| {
            let faults = block_on(check_patiently(*world, &certificates));
            (!faults.is_empty()).then(|| format!("{faults:?}\n{}", super::code(*world)))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
