//! Which command installs PostgreSQL's server programs on this system.

use std::fs;

/// The command for the system that this process runs on.
pub(super) fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install postgresql@17"
    } else {
        let release = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
        install_command_for(&release.unwrap_or_default())
    }
}

/// The command for a Linux with this `/etc/os-release`: its own name counts before the family it says it belongs to.
fn install_command_for(os_release: &str) -> &'static str {
    let value_of = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().replace(['"', '\''], "")
    };
    let (own, family) = (value_of("ID"), value_of("ID_LIKE"));
    own.split_whitespace()
        .chain(family.split_whitespace())
        .find_map(of_distribution)
        .unwrap_or("the package of this system that has the programs initdb and postgres")
}

fn of_distribution(name: &str) -> Option<&'static str> {
    Some(match name {
        "debian" | "ubuntu" => "apt install postgresql",
        "fedora" | "rhel" | "centos" | "amzn" => "dnf install postgresql-server",
        "alpine" => "apk add postgresql",
        "arch" => "pacman -S postgresql",
        "suse" | "opensuse" => "zypper install postgresql-server",
        "nixos" => "nix-shell -p postgresql",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::install_command_for;

    #[test]
    fn the_package_is_named_for_the_distribution_or_its_family() {
        assert_eq!(install_command_for("NAME=\"Debian GNU/Linux\"\nID=debian\n"), "apt install postgresql");
        assert_eq!(install_command_for("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), "apt install postgresql");
        assert_eq!(
            install_command_for("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\""),
            "dnf install postgresql-server"
        );
        assert_eq!(install_command_for("ID=fedora\nVERSION_ID=43"), "dnf install postgresql-server");
        assert!(install_command_for("").contains("initdb and postgres"));
    }
}
