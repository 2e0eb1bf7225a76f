-- expect: OK
return 1
