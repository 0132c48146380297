# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints "FILE:LINE NAME LENGTH" for each function of C sources in the project's style, where a
# body starts with a line that ends in "{" at level 0 and ends with "}" in column 0.
FNR == 1 { name = "" }
/^[a-zA-Z_].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); start = FNR }
/^(struct|enum|union|static const|const)[^(]*\{[ \t]*$/ { name = "" }
/^\}/ { if (name != "") print FILENAME ":" start, name, FNR - start + 1; name = "" }
