require 'base64'
require 'digest'
require 'openssl'
require 'securerandom'
require 'sinatra'

FORM = '<form method="post"><input name="username"><button>Login</button></form>'.freeze

# lessons: 9 settings, 3 connect, 7 unavailable, 1 helpers

def posted_name
  halt 403 unless ['same-origin', 'none'].include?(env.fetch('HTTP_SEC_FETCH_SITE', 'none'))
  name = params['username'].to_s.strip
  halt 422, FORM unless (1..64).cover?(name.length) && !name.match?(/\p{Cc}/)
  name
end

get '/login' do
  FORM
end

