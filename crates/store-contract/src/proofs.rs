//! Cases of `ProofRepo` and `ProofStore`.

use std::sync::Arc;

use identsphere_accounts::{CodeChallenge, EmailVerification, PasswordReset, User, VerificationKind};
use identsphere_core::{Store, Tx};
use identsphere_kernel::{StoreError, Timestamp, TokenHash};
use identsphere_testkit::World;

use crate::scene::{CONTENDERS, INSTANT, Scene, race};

pub(crate) async fn a_verification_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for given in scene.world.extreme_verifications(&user) {
        put(scene, &[Proof::Verification(given.clone())]).await;
        let mut tx = scene.begin().await;
        let found = tx.proofs().take_verification(&given.hash, scene.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found, Some(given));
    }
}

pub(crate) async fn a_reset_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for given in scene.world.extreme_resets(&user) {
        put(scene, &[Proof::Reset(given.clone())]).await;
        let mut tx = scene.begin().await;
        let found = tx.proofs().take_reset(&given.hash, scene.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found, Some(given));
    }
}

pub(crate) async fn a_code_comes_back_exactly_as_given(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for given in scene.world.extreme_codes(&user) {
        put(scene, &[Proof::Code(given.clone())]).await;
        assert_eq!(count_attempt(scene, &given).await, Some(given));
    }
}

pub(crate) async fn a_proof_needs_a_user_that_exists(scene: &Scene) {
    let stranger = scene.world.account().user;
    for proof in Proof::all(&scene.world, &stranger) {
        assert!(put_into(&*scene.store, std::slice::from_ref(&proof)).await.is_err(), "{proof:?}");
        assert!(!is_there(scene, &proof).await);
    }
}

pub(crate) async fn a_newer_proof_replaces_the_older_of_its_kind_and_user_only(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (before, bystanders) = (Proof::all(&scene.world, &user), Proof::all(&scene.world, &other));
    put(scene, &before).await;
    put(scene, &bystanders).await;
    let mut expected = [true; 4];
    for (index, newer) in Proof::all(&scene.world, &user).iter().enumerate() {
        put(scene, std::slice::from_ref(newer)).await;
        expected[index] = false;
        assert_eq!(which_are_there(scene, &before).await, expected);
        assert!(is_there(scene, newer).await);
        assert_eq!(which_are_there(scene, &bystanders).await, [true; 4]);
    }
}

pub(crate) async fn a_hash_of_one_kind_is_nothing_for_another(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let given = Proof::all(&scene.world, &user);
    put(scene, &given).await;
    let mut tx = scene.begin().await;
    for proof in &given {
        let (hash, now) = (proof.hash(), scene.now());
        if !matches!(proof, Proof::Verification(_)) {
            assert_eq!(tx.proofs().take_verification(hash, now).await.unwrap(), None);
        }
        if !matches!(proof, Proof::Reset(_)) {
            assert_eq!(tx.proofs().take_reset(hash, now).await.unwrap(), None);
        }
        if !matches!(proof, Proof::Code(_)) {
            assert!(!tx.proofs().take_code(user.id, hash, now).await.unwrap());
        }
    }
    tx.commit().await.unwrap();
    assert_eq!(which_are_there(scene, &given).await, [true; 4]);
}

pub(crate) async fn an_unknown_hash_is_absent(scene: &Scene) {
    let user = scene.sign_up().await.user;
    put(scene, &Proof::all(&scene.world, &user)).await;
    assert_eq!(which_are_there(scene, &Proof::all(&scene.world, &user)).await, [false; 4]);
}

/// Six digits are few: two users have the same code now and then, and a store must not mix them up.
pub(crate) async fn the_code_of_another_user_is_absent(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let code = scene.world.code_challenge(&user);
    let of_other = Proof::Code(CodeChallenge { user: other.id, ..code.clone() });
    put(scene, &[Proof::Code(code.clone())]).await;
    assert!(!is_there(scene, &of_other).await);
    assert_eq!(scene.store.count_code_attempt(other.id, scene.now()).await.unwrap(), None);

    put(scene, std::slice::from_ref(&of_other)).await;
    assert!(take(scene, &of_other).await);
    assert!(is_there(scene, &Proof::Code(code)).await);
}

pub(crate) async fn what_has_expired_is_absent_from_its_end_on(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for proof in Proof::all(&scene.world, &user) {
        put(scene, std::slice::from_ref(&proof)).await;
        scene.world.clock.set(proof.expires_at().minus(INSTANT));
        assert!(is_there(scene, &proof).await, "{proof:?}");
        scene.world.clock.advance(INSTANT);
        assert!(!take(scene, &proof).await, "{proof:?}");
    }
    let code = scene.world.code_challenge(&user);
    put(scene, &[Proof::Code(code.clone())]).await;
    scene.world.clock.set(code.expires_at.minus(INSTANT));
    assert_eq!(count_attempt(scene, &code).await.as_ref(), Some(&code));
    scene.world.clock.advance(INSTANT);
    assert_eq!(count_attempt(scene, &code).await, None);
}

pub(crate) async fn a_reset_is_found_until_it_is_taken_or_ends(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for reset in scene.world.extreme_resets(&user).into_iter().chain([scene.world.password_reset(&user)]) {
        let find = |now| scene.store.find_reset(&reset.hash, now);
        assert_eq!(find(scene.now()).await.unwrap(), None);
        put(scene, &[Proof::Reset(reset.clone())]).await;
        for at in [scene.now(), reset.expires_at.minus(INSTANT)] {
            assert_eq!(find(at).await.unwrap().as_ref(), Some(&reset));
        }
        assert_eq!(find(reset.expires_at).await.unwrap(), None);
        assert!(take(scene, &Proof::Reset(reset.clone())).await);
        assert_eq!(find(scene.now()).await.unwrap(), None);
    }
}

pub(crate) async fn what_is_taken_is_gone(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let given = Proof::all(&scene.world, &user);
    put(scene, &given).await;
    let mut expected = [true; 4];
    for (index, proof) in given.iter().enumerate() {
        assert!(take(scene, proof).await, "{proof:?}");
        assert!(!take(scene, proof).await, "{proof:?}");
        expected[index] = false;
        assert_eq!(which_are_there(scene, &given).await, expected);
    }
}

pub(crate) async fn what_was_taken_is_back_without_the_commit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for proof in Proof::all(&scene.world, &user) {
        put(scene, std::slice::from_ref(&proof)).await;
        let mut tx = scene.begin().await;
        assert!(proof.take(tx.as_mut(), scene.now()).await.unwrap());
        assert!(!proof.take(tx.as_mut(), scene.now()).await.unwrap());
        drop(tx);
        assert!(take(scene, &proof).await, "{proof:?}");
    }
}

pub(crate) async fn a_transaction_takes_what_it_has_put(scene: &Scene) {
    let account = scene.world.account();
    let given = Proof::all(&scene.world, &account.user);
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    for proof in &given {
        proof.put(tx.as_mut()).await.unwrap();
        assert!(proof.take(tx.as_mut(), scene.now()).await.unwrap(), "{proof:?}");
    }
    tx.commit().await.unwrap();
    assert_eq!(which_are_there(scene, &given).await, [false; 4]);
}

pub(crate) async fn of_many_who_take_one_proof_one_wins(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for proof in Proof::all(&scene.world, &user) {
        put(scene, std::slice::from_ref(&proof)).await;
        let now = scene.now();
        let outcomes = race((0..CONTENDERS).map(|_| {
            let (store, proof) = (Arc::clone(&scene.store), proof.clone());
            async move { take_from(&*store, &proof, now).await.unwrap() }
        }))
        .await;
        assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1, "{proof:?}");
    }
}

pub(crate) async fn of_many_who_put_a_proof_one_remains(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for index in 0..4 {
        let rivals: Vec<Proof> =
            (0..CONTENDERS).map(|_| Proof::all(&scene.world, &user)[index].clone()).collect();
        race(rivals.clone().into_iter().map(|proof| {
            let store = Arc::clone(&scene.store);
            async move { put_into(&*store, &[proof]).await.unwrap() }
        }))
        .await;
        let mut remaining = 0;
        for proof in &rivals {
            remaining += u32::from(take(scene, proof).await);
        }
        assert_eq!(remaining, 1, "{:?}", rivals[0]);
    }
}

pub(crate) async fn attempts_are_counted_up_to_the_limit(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (code, bystander) = (scene.world.code_challenge(&user), scene.world.code_challenge(&other));
    assert_eq!(count_attempt(scene, &code).await, None);
    put(scene, &[Proof::Code(code.clone()), Proof::Code(bystander.clone())]).await;
    for _ in 0..CodeChallenge::ATTEMPTS {
        assert_eq!(count_attempt(scene, &code).await.as_ref(), Some(&code));
    }
    assert_eq!(count_attempt(scene, &code).await, None);
    assert_eq!(count_attempt(scene, &bystander).await, Some(bystander));
}

pub(crate) async fn of_many_attempts_at_once_no_more_than_the_limit_count(scene: &Scene) {
    let user = scene.sign_up().await.user;
    put(scene, &[Proof::Code(scene.world.code_challenge(&user))]).await;
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move { store.count_code_attempt(user.id, now).await.unwrap() }
    }))
    .await;
    let counted = outcomes.into_iter().flatten().count();
    assert_eq!(u32::try_from(counted), Ok(CodeChallenge::ATTEMPTS));
}

pub(crate) async fn a_new_code_starts_with_no_attempts(scene: &Scene) {
    let user = scene.sign_up().await.user;
    for _ in 0..2 {
        let code = scene.world.code_challenge(&user);
        put(scene, &[Proof::Code(code.clone())]).await;
        for _ in 0..CodeChallenge::ATTEMPTS {
            assert!(count_attempt(scene, &code).await.is_some());
        }
        assert_eq!(count_attempt(scene, &code).await, None);
    }
}

/// The right code may have been the last one that could be tried.
pub(crate) async fn a_code_is_taken_whatever_was_counted(scene: &Scene) {
    let code = scene.world.code_challenge(&scene.sign_up().await.user);
    put(scene, &[Proof::Code(code.clone())]).await;
    while count_attempt(scene, &code).await.is_some() {}
    assert!(take(scene, &Proof::Code(code.clone())).await);
    assert_eq!(count_attempt(scene, &code).await, None);
}

pub(crate) async fn voiding_deletes_everything_of_one_user_only(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let (given, bystanders) = (Proof::all(&scene.world, &user), Proof::all(&scene.world, &other));
    put(scene, &given).await;
    put(scene, &bystanders).await;
    let mut tx = scene.begin().await;
    tx.proofs().void_proofs(user.id).await.unwrap();
    drop(tx);
    assert_eq!(which_are_there(scene, &given).await, [true; 4]);

    let mut tx = scene.begin().await;
    tx.proofs().void_proofs(user.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(which_are_there(scene, &given).await, [false; 4]);
    assert_eq!(scene.store.count_code_attempt(user.id, scene.now()).await.unwrap(), None);
    assert_eq!(which_are_there(scene, &bystanders).await, [true; 4]);
}

pub(crate) async fn a_sweep_deletes_only_what_has_ended(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let given = Proof::all(&scene.world, &user);
    put(scene, &given).await;
    let mut there = [true; 4];
    for lifetime in [CodeChallenge::LIFETIME, PasswordReset::LIFETIME, EmailVerification::LIFETIME] {
        let end = scene.now().plus(lifetime);
        assert_eq!(scene.store.sweep_proofs(end, 100).await.unwrap(), 0);
        let left = given.each_ref().map(|proof| end < proof.expires_at());
        let ended = left.iter().zip(there).filter(|(left, was)| *was && !**left).count();
        let swept = scene.store.sweep_proofs(end.plus(INSTANT), 100).await.unwrap();
        assert_eq!(usize::try_from(swept), Ok(ended));
        assert_eq!(which_are_there(scene, &given).await, left);
        there = left;
    }
    assert_eq!(there, [false; 4]);
}

pub(crate) async fn a_sweep_deletes_no_more_of_each_kind_than_its_limit(scene: &Scene) {
    let over = scene.now().plus(EmailVerification::LIFETIME + INSTANT);
    for _ in 0..5 {
        let user = scene.sign_up().await.user;
        let [confirm, _, reset, code] = Proof::all(&scene.world, &user);
        put(scene, &[confirm, reset, code]).await;
    }
    for swept in [6, 6, 3, 0] {
        assert_eq!(scene.store.sweep_proofs(over, 2).await.unwrap(), swept);
    }
}

/// Whatever proves a mailbox.
#[derive(Debug, Clone)]
enum Proof {
    Verification(EmailVerification),
    Reset(PasswordReset),
    Code(CodeChallenge),
}

impl Proof {
    /// A confirmation of each kind, a reset, a code.
    fn all(world: &World, user: &User) -> [Self; 4] {
        [
            Self::Verification(world.verification(user, VerificationKind::Confirm)),
            Self::Verification(world.verification(user, VerificationKind::Change)),
            Self::Reset(world.password_reset(user)),
            Self::Code(world.code_challenge(user)),
        ]
    }

    fn hash(&self) -> &TokenHash {
        match self {
            Self::Verification(verification) => &verification.hash,
            Self::Reset(reset) => &reset.hash,
            Self::Code(code) => &code.hash,
        }
    }

    fn expires_at(&self) -> Timestamp {
        match self {
            Self::Verification(verification) => verification.expires_at,
            Self::Reset(reset) => reset.expires_at,
            Self::Code(code) => code.expires_at,
        }
    }

    async fn put(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        match self {
            Self::Verification(verification) => tx.proofs().put_verification(verification).await,
            Self::Reset(reset) => tx.proofs().put_reset(reset).await,
            Self::Code(code) => tx.proofs().put_code(code).await,
        }
    }

    /// Whether this very proof was there.
    async fn take(&self, tx: &mut dyn Tx, now: Timestamp) -> Result<bool, StoreError> {
        let proofs = tx.proofs();
        Ok(match self {
            Self::Verification(given) => {
                proofs.take_verification(&given.hash, now).await?.is_some_and(|found| found == *given)
            }
            Self::Reset(given) => {
                proofs.take_reset(&given.hash, now).await?.is_some_and(|found| found == *given)
            }
            Self::Code(given) => proofs.take_code(given.user, &given.hash, now).await?,
        })
    }
}

async fn put(scene: &Scene, proofs: &[Proof]) {
    put_into(&*scene.store, proofs).await.unwrap();
}

async fn put_into(store: &dyn Store, proofs: &[Proof]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for proof in proofs {
        proof.put(tx.as_mut()).await?;
    }
    tx.commit().await
}

async fn take(scene: &Scene, proof: &Proof) -> bool {
    take_from(&*scene.store, proof, scene.now()).await.unwrap()
}

async fn take_from(store: &dyn Store, proof: &Proof, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let taken = proof.take(tx.as_mut(), now).await?;
    tx.commit().await?;
    Ok(taken)
}

/// Whether a proof could be taken: takes it and thinks better of it.
async fn is_there(scene: &Scene, proof: &Proof) -> bool {
    let mut tx = scene.begin().await;
    proof.take(tx.as_mut(), scene.now()).await.unwrap()
}

async fn which_are_there(scene: &Scene, proofs: &[Proof; 4]) -> [bool; 4] {
    let mut there = [false; 4];
    for (proof, is) in proofs.iter().zip(&mut there) {
        *is = is_there(scene, proof).await;
    }
    there
}

async fn count_attempt(scene: &Scene, code: &CodeChallenge) -> Option<CodeChallenge> {
    scene.store.count_code_attempt(code.user, scene.now()).await.unwrap()
}
