# SPDX-License-Identifier: LGPL-2.1-or-later
# DMAOWND_DIRECTORY(NAME, WHAT, PACKAGE, VARIABLE, FALLBACK)
# Sets and substitutes NAME: --with-NAME, else VARIABLE of the pkg-config PACKAGE, else FALLBACK.
AC_DEFUN([DMAOWND_DIRECTORY], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=DIR], [directory for $2])], [], [with_$1=auto])
  AS_IF([test "$with_$1" = auto],
    [PKG_CHECK_VAR([found_$1], [$3], [$4], [$1=$found_$1], [$1=$5])],
    [$1=$with_$1])
  AC_SUBST([$1])])
