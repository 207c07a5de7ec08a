//! Every combination of the four flags, under every requirement.

use identsphere_factors::passkey::{PasskeyError, UserHandle, UserVerification};
use identsphere_kernel::OsRandom;
use identsphere_testkit::SoftAuthenticator;

use crate::scene::{Registration, Scene};

const UP: u8 = 1;
const UV: u8 = 1 << 2;
const BE: u8 = 1 << 3;
const BS: u8 = 1 << 4;

const REQUIREMENTS: [UserVerification; 3] =
    [UserVerification::Required, UserVerification::Preferred, UserVerification::Discouraged];

/// Every combination of the flags, with every requirement.
fn cells() -> impl Iterator<Item = (u8, UserVerification)> {
    let flags = (0..16u8).map(|cell| {
        [UP, UV, BE, BS].iter().enumerate().fold(0, |all, (at, flag)| all | ((cell >> at & 1) * flag))
    });
    flags.flat_map(|flags| REQUIREMENTS.map(|required| (flags, required)))
}

/// What the flags alone say, in the order of the steps.
fn verdict(flags: u8, required: UserVerification) -> Result<(), PasskeyError> {
    if flags & UP == 0 {
        Err(PasskeyError::NotPresent)
    } else if flags & UV == 0 && required == UserVerification::Required {
        Err(PasskeyError::NotVerified)
    } else if flags & (BE | BS) == BS {
        Err(PasskeyError::BackupFlags)
    } else {
        Ok(())
    }
}

#[test]
fn a_registration_passes_in_the_right_cells_of_the_flag_matrix() {
    let genuine = Registration::by(&SoftAuthenticator::new(), &UserHandle::generate(&OsRandom), &[]);
    for (flags, required) in cells() {
        let mut registration = genuine.clone();
        registration.required = required;
        registration.change_data(|data| data[32] = data[32] & !(UP | UV | BE | BS) | flags);
        let verified = registration.verify();
        assert_eq!(
            verified.as_ref().map(|_| ()).map_err(|error| *error),
            verdict(flags, required),
            "{flags:08b}"
        );
        if let Ok(credential) = verified {
            assert_eq!(credential.user_verified, flags & UV != 0);
            assert_eq!(
                (credential.backup_eligible, credential.backed_up),
                (flags & BE != 0, flags & BS != 0)
            );
        }
    }
}

#[test]
fn an_assertion_passes_in_the_right_cells_of_the_flag_matrix() {
    for eligible in [true, false] {
        let mut scene = Scene::with(SoftAuthenticator::new());
        scene.passkey.backup_eligible = eligible;
        let genuine = scene.sign_in();
        for (flags, required) in cells() {
            let mut sign_in = genuine.clone();
            sign_in.required = required;
            sign_in.change_data(|data| data[32] = flags);
            sign_in.sign_again();
            let unchanged = (flags & BE != 0) == eligible;
            let expected = match verdict(flags, required) {
                Ok(()) if !unchanged => Err(PasskeyError::BackupFlags),
                other => other,
            };
            let verified = sign_in.verify();
            assert_eq!(verified.map(|_| ()), expected, "{flags:08b}");
            if let Ok(assertion) = verified {
                assert_eq!(assertion.user_verified, flags & UV != 0);
                assert_eq!(assertion.backed_up, flags & BS != 0);
            }
        }
    }
}
