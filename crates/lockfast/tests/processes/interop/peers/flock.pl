# Locks with Perl's flock: `flock.pl PATH`. A command a line in, an answer a line out.

use strict;
use warnings;
use Errno qw(EWOULDBLOCK);
use Fcntl qw(:flock);

my %operations = (exclusive => LOCK_EX, shared => LOCK_SH);

$| = 1;
open(my $file, '+>>', $ARGV[0]) or die "cannot open $ARGV[0]: $!";

while (my $line = <STDIN>) {
    my ($number, $verb, $mode) = grep { $_ ne '&' } split ' ', $line;
    my $taken = 1;
    if ($verb eq 'release') {
        flock($file, LOCK_UN) or die "release: $!";
    } elsif ($verb eq 'lock') {
        flock($file, $operations{$mode}) or die "lock: $!";
    } elsif ($verb eq 'try') {
        $taken = flock($file, $operations{$mode} | LOCK_NB);
        die "try: $!" unless $taken or $! == EWOULDBLOCK;
    } else {
        die "unknown command $line";
    }
    print $taken ? "$number ok\n" : "$number error held\n";
}
